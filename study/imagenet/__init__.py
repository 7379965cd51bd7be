"""ImageNet: folders of JPEGs, batches read ahead by worker processes, the paper's test protocols."""
