"""Random search spaces on small backbones, and the candidates that they hold by brute force."""

from dataclasses import astuple
from itertools import product

from hypothesis import assume, settings
from hypothesis import strategies as st
from support.networks import backbones, make_backbone

from se_search.cost import count_cost
from se_search.models.catalogue import default_shape, describe_backbone
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace

DEFAULTS = {
    "integration": "standard",
    "kind": "se",
    "rounding": "floor",
    "squeeze": "avg",
    "gate": "sigmoid",
    "bias": False,
    "gate_init": "half",
}
AXES = (*DEFAULTS, "reduction", "width")
TINY = make_backbone([8], [16, 16], [32])
SHARED = {
    "choices": {"integration": ["standard", "pre"], "reduction": [2, 4]},
    "shared": ["integration"],
}
few_examples = settings(max_examples=60)


def described(name):
    return describe_backbone(name, *default_shape(name))


def bind(backbone, **fields):
    return BoundSpace(SearchSpace.model_validate(fields), backbone)


def place_names(backbone):
    """Map the names that a list of sites may hold to the sites they mean."""
    places = {}
    for index, site in enumerate(backbone.sites):
        places.setdefault(f"stage{site.stage}", []).append(index)
        places[f"stage{site.stage}.block{site.block}"] = [index]
        if site.block == 2:
            places[f"stage{site.stage}.block1-2"] = [index - 1, index]
    return places


def some_of(*values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


def draw_axis(draw, choices, block, axis, values):
    """Put some values under choices, or one under block, or none; return what the axis can be."""
    where = draw(st.sampled_from([{}, {}, choices, block]))
    where[axis] = draw(some_of(*values) if where is choices else st.sampled_from(values))
    if where is choices:
        return where[axis]
    return [block.get(axis, DEFAULTS[axis])]


@st.composite
def spaces(draw):
    """Draw a space file's content, a backbone, and the indices of the sites that are searched."""
    backbone = draw(backbones(max_blocks=2, all_integrations=True))
    choices = {"none": draw(st.booleans())}
    block = {}
    integrations = ["standard", "pre", "inner"]
    what = draw(st.sampled_from(["modifiers", "modifiers", "variants", "native"]))
    if what == "variants":
        choices["kind"] = draw(some_of("se", "ese", "eca", "ge"))
    if what == "native":  # a native block takes no modifiers
        integrations.append("native")
    if "se" in choices.get("kind", ["se"]):
        axis = draw(st.sampled_from(["reduction", "width"]))
        values = (1, 2, 4, 8, 16, 32, 64) + ("original",) * (axis == "width")
        choices[axis] = draw(some_of(*values))
    if draw(st.booleans()):
        choices["integration"] = draw(some_of(*integrations))
    if what == "modifiers":
        draw_axis(draw, choices, block, "squeeze", ("avg", "max", "none"))
        draw_axis(draw, choices, block, "gate", ("sigmoid", "hard_sigmoid"))
        biases = draw_axis(draw, choices, block, "bias", (False, True))
        gate_inits = ("half", "double") + ("open",) * all(biases)
        draw_axis(draw, choices, block, "gate_init", gate_inits)
    if "reduction" in choices:
        draw_axis(draw, choices, block, "rounding", ("floor", "multiple_of_8"))
    shared = draw(st.lists(st.sampled_from([a for a in AXES if a in choices]), unique=True))
    places = place_names(backbone)
    listed = draw(st.just("all") | st.lists(st.sampled_from(list(places)), min_size=1))
    names = ["stage2", "stage3", "stage4"] if listed == "all" else listed
    searched = sorted({index for name in names for index in places.get(name, [])})
    granularity = draw(st.sampled_from(["network", "stage", "block"]))
    fields = {"granularity": granularity, "sites": listed, "shared": shared}
    return {**fields, "choices": choices, "block": block}, backbone, searched


def combine(axes):
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def resolve(site, values):
    channels = site.feature_maps[values["integration"]].channels
    if values["kind"] != "se":
        width = 0
    elif values.get("width") == "original":
        width = site.native.width
    elif "width" in values:
        width = values["width"]
    elif values["rounding"] == "floor":
        width = max(1, channels // values["reduction"])
    else:
        width = make_divisible(channels / values["reduction"])
    fields = ("squeeze", "gate", "bias", "gate_init", "kind")
    return (values["integration"], width, *(values[field] for field in fields))


def make_divisible(value):
    """Round as timm's function of this name with a divisor of 8 and a round limit of 0."""
    return max(8, int(value + 4) // 8 * 8)


def raw_points(fields, backbone, searched):
    """Return the network, as a tuple of SE fields a site, of every point of the raw space."""
    axes = {axis: [value] for axis, value in (DEFAULTS | fields["block"]).items()}
    axes |= {axis: values for axis, values in fields["choices"].items() if axis != "none"}
    slot_of = {
        "network": lambda site: 0,
        "stage": lambda site: site.stage,
        "block": lambda site: (site.stage, site.block),
    }[fields["granularity"]]
    slots = list(dict.fromkeys(slot_of(backbone.sites[index]) for index in searched))
    own = combine({axis: axes[axis] for axis in axes if axis not in fields["shared"]})
    options = [None, *own] if fields["choices"]["none"] else own
    common = combine({axis: axes[axis] for axis in fields["shared"]})
    assume(len(common) * len(options) ** len(slots) <= 500)
    points = []
    for shared in common:
        for drawn in product(options, repeat=len(slots)):
            network = [None] * len(backbone.sites)
            for index in searched:
                values = drawn[slots.index(slot_of(backbone.sites[index]))]
                if values is not None:
                    network[index] = resolve(backbone.sites[index], shared | values)
            points.append(tuple(network))
    return points


@st.composite
def listed_spaces(draw):
    """Draw a bound space of at least two networks, and its raw points by brute force."""
    fields, backbone, searched = draw(spaces())
    points = raw_points(fields, backbone, searched)
    assume(len(set(points)) > 1)
    return bind(backbone, **fields), points


def as_tuples(candidate):
    return tuple(block and astuple(block) for block in candidate.blocks)


def choose_from(bound, params):
    """Return the candidate that these values of parameters make; what is missing is an error."""
    return bound.choose(lambda parameter: params[parameter.name])


def all_draws(bound):
    """Yield the candidate at the end of every way through ``choose``."""
    scripts = [()]
    while scripts:
        script = scripts.pop()
        asked = []

        def answer(parameter, script=script, asked=asked):
            asked.append(parameter)
            return script[len(asked) - 1] if len(asked) <= len(script) else parameter.choices[0]

        yield bound.choose(answer)
        for depth in range(len(script), len(asked)):
            firsts = tuple(parameter.choices[0] for parameter in asked[len(script) : depth])
            scripts += [(*script, *firsts, other) for other in asked[depth].choices[1:]]


OWN = {"integration": ["standard", "pre", "inner"], "reduction": [2, 4, 16]}
# What is shared leaves different levels: on few channels ratios mean the same width.
MERGING = {
    "choices": {"reduction": [2, 4, 16], "gate": ["sigmoid", "hard_sigmoid"]},
    "shared": ["reduction", "gate"],
}


def price(candidate):
    cost = count_cost(candidate)
    return cost.params, cost.macs


@st.composite
def bound_spaces(draw):
    """Draw small spaces, with shared axes or without."""
    choices = draw(
        st.sampled_from(
            [
                OWN,
                OWN | {"none": False},
                {"reduction": [4, 8], "gate": ["sigmoid", "hard_sigmoid"]},
                {"kind": ["se", "eca"], "reduction": [2, 8]},
            ]
        )
    )
    shared = draw(st.lists(st.sampled_from(list(set(choices) - {"none"})), unique=True))
    return bind(
        draw(backbones(max_blocks=2, all_integrations=True)), choices=choices, shared=sorted(shared)
    )


SPACES = [
    bind(make_backbone([32, 8], [16], [4]), choices=OWN),
    bind(make_backbone([32], [2, 16], [4]), **MERGING),
    bind(make_backbone([64], [4]), **MERGING | {"granularity": "block"}),
]
