"""ImageNet: folders of JPEGs, decoded, cropped and read ahead by worker processes."""
