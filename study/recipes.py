"""How the paper trained each network, with citations; study/departures.py says where this study departs from it.

Lengths are counted in steps. What data set and depth determine is derived, not configured (rule 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from study.spec import InputError, Spec, check_choice


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. A step is one update on one global batch; errors are in percent."""

    batch: int = 128  # Sec. 4.2: a mini-batch of 128, over all devices together
    steps: int = 64_000  # Sec. 4.2: training ends at 64k iterations
    lr: float = 0.1  # Sec. 4.2
    decay: Literal["drops", "linear"] = "drops"
    drops: tuple[int, ...] = (32_000, 48_000)  # Sec. 4.2: divided by 10 at 32k and 48k iterations
    ramp: int = 0  # steps over which the rate rises linearly to `lr`
    warmup_lr: float = 0.01  # Sec. 4.2: "we use 0.01 to warm up the training
    warmup_error: float | None = None  # until the training error is below 80%"
    momentum: float = 0.9  # Sec. 4.2; not Nesterov's
    weight_decay: float = 1e-4  # Sec. 4.2; on every parameter, as the authors' Caffe does by default
    pad: int = 4  # Sec. 4.2: 4 pixels padded on each side, then a random crop
    flip: bool = True  # Sec. 4.2: of the padded image or its horizontal flip
    train_images: int | None = None  # a class-balanced subset, the first of each class in file order; None takes all
    evaluations: int = 64  # over the whole run; Fig. 6 has one point per 1,000 of 64,000 steps
    early_steps: int = 0  # up to which there is an evaluation every 50 steps besides
    scale: Literal["full", "toy"] = "toy"  # "toy" results never decide a claim of the paper

    @property
    def evaluation_steps(self) -> tuple[int, ...]:
        """The numbers of finished steps after which the test set is evaluated; the last is `steps`."""
        even = {round(i * self.steps / self.evaluations) for i in range(1, self.evaluations + 1)}
        return tuple(sorted(even.union(range(WARMUP_WINDOW, self.early_steps + 1, WARMUP_WINDOW))))

    @property
    def first_lr(self) -> float:
        """The learning rate of the first update; `study.training.schedule` has all others."""
        if self.warmup_error is not None:
            return self.warmup_lr
        return self.lr / self.ramp if self.ramp else self.lr


@dataclass(frozen=True)
class ImageNetRecipe(Recipe):
    """How a network is trained on ImageNet (Sec. 3.4)."""

    batch: int = 256  # Sec. 3.4; 32 on each of eight GPUs, says the authors' release
    steps: int = 600_000  # Sec. 3.4: up to 60 x 10^4 iterations
    drops: tuple[int, ...] = (150_000, 300_000)  # "when the error plateaus": where Fig. 4's curves drop
    pad: int = 0
    evaluations: int = 120  # about one an epoch, as plotted in Fig. 4
    shorter: tuple[int, int] = (256, 480)  # Sec. 3.4: the shorter side in pixels, uniform, both ends included
    lighting: float = 0.1  # Sec. 3.4: [21]'s colour augmentation; the standard deviation of its three coefficients
    plateau: bool = False  # divide the rate when the error plateaus, instead of at `drops`


WARMUP_WINDOW = 50  # steps whose training error decides whether the warm-up ends: one batch alone fires far too early
WARMUP_DEPTH = 110  # Sec. 4.2: the residual networks from this depth on start at `warmup_lr`
WARMUP_LIMIT = 8_000  # steps, 20 times the paper's: a warm-up that lasts longer ends the run, which has failed
WARMUP_ERROR = 80.0  # Sec. 4.2: until the training error is below 80 %
# Recipes whose deep residual networks warm up, by data set: all of CIFAR-10's but footnote 5's and that of copies of
# trained networks. Plain networks start at 0.1, as the paper says of its plain nets; `warmup` warms up any.
WARMED_UP = {
    "cifar10": ("paper", "paper45k", "long", "mini", "eighth", "nodecaybn", "smoke"),
}

# Recipes that decay convolutions and the last layer only, by data set: neither scales nor biases.
UNDECAYED = {"cifar10": ("nodecaybn",)}
# Recipes that train on from a copy of a trained network, as `study deepen` makes it, by data set.
FROM_COPY = {"cifar10": ("deepened",), "digits": ("deepened",)}

_CIFAR10 = Recipe(scale="full")
# A CPU's afternoon: few images, no augmentation and 51 passes, so that they can be memorised (docs/findings.md has the
# trials).
_MINI = replace(
    _CIFAR10,
    steps=4_000,
    drops=(2_000, 3_000),
    ramp=200,
    pad=0,
    flip=False,
    train_images=10_000,
    evaluations=32,
    scale="toy",
)
# The paper's schedule at an eighth of its length, on all images with crops and flips: the smallest recipe that keeps
# its protocol whole.
_EIGHTH = replace(_CIFAR10, steps=8_000, drops=(4_000, 6_000), scale="toy")
# Sec. 3.4 on Tiny ImageNet: as many passes over its 100,000 images as 600,000 steps are over ILSVRC 2012's, 120, with
# the drops after a quarter and a half of them (Fig. 4). Images are padded by an eighth of their side, as CIFAR-10's.
_TINY = Recipe(batch=256, steps=46_880, drops=(11_720, 23_440), pad=8, evaluations=120)
# The degradation problem in miniature: 1,437 images of 8x8 pixels, 15 passes (docs/findings.md has the trials).
_DIGITS = Recipe(batch=64, steps=336, lr=0.05, decay="linear", drops=(), ramp=56, pad=0, flip=False)

RECIPES: dict[str, dict[str, Recipe]] = {
    "cifar10": {
        "paper": _CIFAR10,
        # The 45k/5k split on which the paper says its schedule was found; the 5k are left out, the test set stays.
        "paper45k": replace(_CIFAR10, train_images=45_000),
        # Footnote 3: "we have experimented with more training iterations (3x)".
        "long": replace(_CIFAR10, steps=192_000, drops=(96_000, 144_000)),
        "mini": _MINI,
        # A trained network that was made deeper without changing its outputs, trained on as long (`study deepen`).
        "deepened": _MINI,
        "eighth": _EIGHTH,
        # The same without weight decay on batch norm's scales and biases, on which the paper is silent: are its
        # responses (Fig. 7) twice as large as ours for that?
        "nodecaybn": _EIGHTH,
        # Footnote 5: 110 layers at 0.1 from the start "reach similar accuracy", but start "after several epochs" only.
        "nowarmup": replace(_CIFAR10, early_steps=2_000),
        # A warm-up for any network, such as plain-110, of which the paper says none.
        "warmup": replace(_CIFAR10, warmup_error=WARMUP_ERROR),
        "smoke": replace(_CIFAR10, steps=200, drops=(100, 150), evaluations=4, scale="toy"),
    },
    "digits": {
        "mini": _DIGITS,
        "deepened": _DIGITS,
        # To see that everything works: two passes.
        "smoke": replace(_DIGITS, steps=40, ramp=8, evaluations=8),
    },
    "imagenet": {
        # Sec. 3.4 and Fig. 4; mini-batches of 256, the rate divided by 10 after 150k and 300k of 600k steps.
        "paper": ImageNetRecipe(scale="full"),
        # The paper's words in place of its curves: divided by 10 when the error plateaus.
        "plateau": ImageNetRecipe(drops=(), plateau=True, scale="full"),
        # 20 steps of 4 images at full size, on whatever images there are: to see that everything works.
        "smoke": ImageNetRecipe(batch=4, steps=20, lr=0.01, drops=(10, 15), evaluations=2),
    },
    "tinyimagenet": {
        "paper": _TINY,
        # Ten passes (9.8) over 100 of the 200 classes: an afternoon for four networks on two cores.
        "afternoon": replace(_TINY, steps=1_920, drops=(480, 960), evaluations=20),
        # A minute, to see that everything works.
        "smoke": replace(_TINY, batch=32, steps=20, lr=0.01, drops=(10, 15), evaluations=2),
    },
}


def recipe_for(spec: Spec) -> Recipe:
    """Look up the recipe of a cell, with the warm-up if it is a residual network whose depth needs one.

    Raises:
        InputError: the data set has no recipe of that name.

    >>> recipe_for(Spec("cifar10", 110, "A")).warmup_error
    80.0
    """
    if spec.dataset not in RECIPES:
        raise InputError(f"data set {spec.dataset!r} has no recipes; those that have are: {', '.join(RECIPES)}")
    recipes = RECIPES[spec.dataset]
    check_choice(f"recipe for {spec.dataset}", spec.recipe, tuple(recipes))
    is_deep = spec.depth >= WARMUP_DEPTH and spec.shortcut != "none"
    warms_up = is_deep and spec.recipe in WARMED_UP.get(spec.dataset, ())
    return replace(recipes[spec.recipe], warmup_error=WARMUP_ERROR) if warms_up else recipes[spec.recipe]


def decays_norms(spec: Spec) -> bool:
    """Whether weight decay acts on batch norm's scales and biases, and the last layer's biases, too.

    >>> decays_norms(Spec("cifar10", 20, "A")), decays_norms(Spec("cifar10", 20, "A", "nodecaybn"))
    (True, False)
    """
    return spec.recipe not in UNDECAYED.get(spec.dataset, ())


def starts_from_copy(dataset: str, recipe: str) -> bool:
    """Whether a recipe trains on from a copy of a trained network, so that none of its cells belongs to a sweep.

    >>> starts_from_copy("cifar10", "deepened")
    True
    """
    return recipe in FROM_COPY.get(dataset, ())


def exhibits(spec: Spec) -> list[str]:
    """List the tables and figures of the paper that a run belongs to, or the reason why it belongs to none.

    >>> exhibits(Spec("cifar10", 20, "none"))
    ['Fig. 1', 'Fig. 6', 'Fig. 7']
    """
    if recipe_for(spec).scale == "toy":
        return ["scaled down"]
    return EXHIBITS[spec.dataset](spec) if spec.dataset in EXHIBITS else []


def _cifar10_exhibits(spec: Spec) -> list[str]:
    if spec.recipe != "paper":
        return [f"variant {spec.recipe}"]
    is_plain = spec.shortcut == "none"
    shows = {
        "Table 6": not is_plain,
        "Fig. 1": is_plain and spec.depth in (20, 56),
        "Fig. 6": True,
        "Fig. 7": spec.depth <= 110,
    }
    return [exhibit for exhibit, is_shown in shows.items() if is_shown]


def _imagenet_exhibits(spec: Spec) -> list[str]:
    is_drawn = spec.depth <= 34 and spec.shortcut in ("none", "A")
    return ["Fig. 4", "Tables 2 to 4"] if is_drawn else ["Tables 2 to 4"]


# The data sets that the paper trains on; runs on others are shown beside none of its exhibits.
EXHIBITS: dict[str, Callable[[Spec], list[str]]] = {
    "cifar10": _cifar10_exhibits,
    "imagenet": _imagenet_exhibits,
}


def check_batches(specs: Iterable[Spec], world_size: int) -> None:
    """Make sure that the global batch of each cell divides by the number of devices.

    Raises:
        InputError: one does not.
    """
    for spec in specs:
        per_device_batch(recipe_for(spec), world_size)


def per_device_batch(recipe: Recipe, world_size: int) -> int:
    """Divide the global batch, which is constant (rule 9), over devices: images per device and step.

    Raises:
        InputError: the global batch does not divide by the number of devices.
    """
    if world_size < 1 or recipe.batch % world_size:
        fitting = [n for n in range(1, 17) if recipe.batch % n == 0]
        raise InputError(
            f"the batch of {recipe.batch} does not divide by {world_size} devices; "
            f"use one of: {', '.join(map(str, fitting))}"
        )
    return recipe.batch // world_size
