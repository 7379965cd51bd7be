"""Where this study departs from the paper, or had to choose what the paper leaves open; the report prints the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from study.recipes import RECIPES, WARMUP_LIMIT, WARMUP_WINDOW

ALL = ("all",)  # every claim on trained networks


@dataclass(frozen=True)
class Departure:
    """One difference from the paper, or one choice that it leaves open.

    Attributes:
        what: The part of the method.
        paper: What the paper, or its authors' release, says of it.
        ours: What this study does.
        others: What public re-runs do; empty where they do the same as this study, or where it is not known.
        claims: The claims of reports/plan.toml that it may touch; `ALL` for every claim on trained networks.
        fields: The fields of a recipe that it explains.
        dataset: The only data set that it concerns; empty where it concerns others too.
    """

    what: str
    paper: str
    ours: str
    others: str = ""
    claims: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    dataset: str = ""


# The fields of a recipe that the paper states, and where. All others have a departure, which a test checks.
STATED: Mapping[str, str] = {
    "batch": "Secs. 3.4 and 4.2",
    "steps": "Secs. 3.4 and 4.2",
    "lr": "Secs. 3.4 and 4.2",
    "drops": "Sec. 4.2",
    "warmup_lr": "Sec. 4.2",
    "momentum": "Secs. 3.4 and 4.2",
    "pad": "Sec. 4.2",
    "flip": "Secs. 3.4 and 4.2",
    "shorter": "Sec. 3.4",
}

DEPARTURES: tuple[Departure, ...] = (
    Departure(
        "precision",
        "32-bit floating point, by the hardware of its time",
        "TF32 on a GPU that has it, bf16 on a processor that computes it itself, else 32 bits; recorded with each run",
        claims=ALL,
    ),
    Departure(
        "rounding",
        "not said",
        "captured and compiled steps, and recomputing activations at 1202 layers, add in another order; recorded with "
        "each run",
        claims=ALL,
    ),
    Departure(
        "initial weights of convolutions",
        "He's normal; [13] allows fan-in and fan-out, Caffe's filler takes fan-in",
        "fan_out, which differs at the first layer (standard deviation 0.12 against 0.27 on CIFAR-10), at the first "
        "layer of stages 2 and 3, and in projections",
        "fan-in: Caffe; fan-out: fb.resnet.torch, torchvision",
        ("C01", "C07", "C30", "C31", "C35"),
    ),
    Departure(
        "initial weights of the classifier",
        "not said",
        "He's normal, without the factor for ReLU; biases zero",
        claims=("C01", "C21"),
    ),
    Departure(
        "weight decay",
        "0.0001; on which parameters is not said",
        "on all of them, batch norm's scales and shifts and the classifier's bias too, as Caffe does by default",
        "all parameters: the authors' release, akamaster; weights only: tensorpack",
        ("C30", "C31"),
        ("weight_decay",),
    ),
    Departure(
        "momentum and learning rate",
        "Caffe keeps the learning rate inside the velocity",
        "PyTorch multiplies it outside, which differs in the steps after each drop",
        "as here: every re-run in PyTorch",
        ALL,
    ),
    Departure(
        "training images",
        "a 45k/5k split is named where the schedule was found; on how many images the nets trained is not said",
        "`paper` trains on all 50,000, `paper45k` on a class-balanced 45,000",
        "50,000 in most re-runs, 45,000 in a few",
        ("C21", "C26", "C27", "C29"),
        ("train_images",),
    ),
    Departure(
        "the 45,000 images of `paper45k`",
        "which 5,000 were held out is not said",
        "the first 4,500 of each class in file order; the other 5,000 are never used",
        claims=("C26",),
    ),
    Departure(
        "inputs",
        "the per-pixel mean is subtracted",
        "the per-pixel mean is subtracted, then levels are divided by 255, which batch norm makes all but harmless",
        claims=("C07", "C30"),
    ),
    Departure(
        "padding before a crop",
        "4 pixels on each side; with what is not said",
        "zero after the mean is subtracted, which is the mean image's own level",
        claims=("C21", "C26"),
    ),
    Departure(
        "option A",
        "identity, with extra zero entries padded for increased dimensions, at a stride of 2",
        "every second pixel is taken by slicing; the zero channels are appended after the others",
        "akamaster adds zero channels on both sides, MXNet's release uses a 2x2 kernel",
        ("C11", "C13", "C16", "C17", "C21"),
    ),
    Departure(
        "order of the images",
        "not said; Caffe reads its database in a fixed order",
        "a fresh permutation in each pass; crops and flips are drawn in each step. Nets of one seed see the same "
        "batches and start with equal weights in the layers that they share",
        claims=("C21", "C23b"),
    ),
    Departure(
        "the last batch of an epoch",
        "not said",
        "batches run on across epochs, so that each has exactly 128 images",
        claims=("C21",),
    ),
    Departure(
        "batch norm in training",
        "two GPUs of 64 images each on CIFAR-10, eight of 32 on ImageNet",
        "the images of one device: 128 on one device, 64 on two; 256 on one device for ImageNet, 32 on eight; recorded "
        "with each run",
        claims=ALL,
    ),
    Departure(
        "batch norm's constants",
        "not said",
        "epsilon 1e-5; running variances are unbiased, those of a batch are not; of several devices the first one's "
        "averages are used",
        claims=("C07", "C30"),
    ),
    Departure(
        "batch norm at test",
        "exact averages over a large training batch after training (the authors' release notes)",
        "running averages with momentum 0.1; `study test --recalibrate` adds the errors by exact averages, which the "
        "tables show beside them",
        claims=("C02", "C03", "C20", "C21", "C26"),
    ),
    Departure(
        "warm-up of 110 layers and more",
        "0.01 until the training error is below 80 %, about 400 iterations; how it was measured is not said",
        f"the error over {WARMUP_WINDOW} steps (6,400 images), looked at every {WARMUP_WINDOW} steps; so are the first "
        f"{RECIPES['cifar10']['nowarmup'].early_steps:,} steps of `nowarmup`",
        "a fixed length, or none; the table of others' results has it",
        ("C24", "C24b", "C25", "C26"),
        ("warmup_error", "early_steps"),
    ),
    Departure(
        "warm-up of plain-110 and of 1202 layers",
        'ResNet-110 alone is named; 1202 layers are trained "as described above"',
        "plain-110 starts at 0.1, and warms up under the recipe `warmup` only; 1202 layers warm up as ResNet-110 does; "
        f"a warm-up of {WARMUP_LIMIT:,} steps ends the run, which counts as failed",
        "plain-110 at 0.1 from the start does not train in either of two re-runs",
        ("C03", "C03b", "C28", "C29"),
    ),
    Departure(
        "three times the steps",
        "footnote 3 says it of ImageNet's plain nets",
        "CIFAR-10's, with the drops at three times their steps",
        claims=("C09",),
    ),
    Departure(
        "plain nets of bottlenecks",
        "footnote 4 names no depth",
        "50 and 101 layers",
        claims=("C10",),
    ),
    Departure(
        "training and test error",
        "which training error is plotted, and whether the test error is the last or the best one, is not said",
        "the running error of augmented crops in training mode, over the last 10 of 64 parts of the run; the last "
        "step's test error",
        "the best test error over all epochs, in many re-runs",
        ("C01", "C05", "C12", "C21", "C22", "C26", "C28"),
        ("evaluations",),
    ),
    Departure(
        "layer responses (Fig. 7)",
        "on which images, in which mode and over what the standard deviation is taken is not said",
        "1,000 test images, in evaluation mode, over channels and positions together",
        claims=("C30", "C31"),
    ),
    Departure(
        "scaled-down recipes",
        "none",
        "`mini`, `eighth`, `afternoon` and `smoke` are shorter; `mini` raises the rate over its first steps, and on "
        "digits lowers it linearly. They decide no claim",
        fields=("ramp", "decay", "scale"),
    ),
    Departure(
        "Tiny ImageNet",
        "none",
        "the networks of Table 1 without the stem's max pooling, on 64x64 pixels padded by 8, cropped and flipped as "
        "on CIFAR-10; `paper` has the paper's 120 passes and drops to scale. It decides no claim",
        dataset="tinyimagenet",
    ),
    Departure(
        "the learning rate on ImageNet",
        '"divided by 10 when the error plateaus"',
        "after 150,000 and 300,000 of 600,000 steps, where Fig. 4's curves drop; `plateau` follows the training error",
        "every 30 of 90 epochs",
        ("C04", "C05", "C11", "C13", "C15", "C18"),
        ("plateau",),
        dataset="imagenet",
    ),
    Departure(
        "the length of training on ImageNet",
        "up to 600,000 iterations; Fig. 4 ends at about 550,000",
        "600,000 steps",
        "450,000 (90 epochs)",
        ("C08", "C12", "C20"),
        dataset="imagenet",
    ),
    Departure(
        "tests on ImageNet",
        "10-crop as in [21]; how views are averaged is not said",
        "the ten crops are cut out of the central 256x256 square; probabilities are averaged after softmax; the fully "
        "convolutional test adds mirror images",
        "one crop of the centre",
        ("C04", "C08", "C11", "C13", "C16", "C18", "C20", "C20b"),
        dataset="imagenet",
    ),
    Departure(
        "the per-pixel mean on ImageNet",
        "how it was taken and used at sizes other than 224x224 is not said",
        "of the training images' centre crops at 256; stretched bilinearly for the fully convolutional test",
        "one mean for each channel",
        ("C18", "C20"),
        dataset="imagenet",
    ),
    Departure(
        "colour augmentation on ImageNet",
        "[21]'s, whose principal components were not published",
        "those that fb.resnet.torch measured, standard deviation 0.1",
        "as here, stronger, or none",
        ("C08", "C12", "C20"),
        ("lighting",),
        dataset="imagenet",
    ),
    Departure(
        "crops on ImageNet",
        "the image is resized, then cropped",
        "the crop alone is resized, moved by at most half a pixel of the file; large images are decoded at a half, "
        "quarter or eighth where that suffices",
        "crops of random area and aspect ratio",
        ("C08", "C12", "C20"),
        dataset="imagenet",
    ),
)
