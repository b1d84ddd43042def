"""Genes, canonical genotypes, counts and baselines of search spaces."""

import random
from itertools import product
from pathlib import Path

import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.patterns import plain
from sparx_nas.ground.errors import NoFeasibleError, SpaceError
from sparx_nas.space import SearchSpace, list_spaces, load_space, parse_space
from sparx_nas.space.free import _wirings

SHIPPED = ("mamba_t", "mamba_t_free", "mamba_micro", "pvt_b2", "swin_t_free")
"""Spaces of which everything is tried; the others differ from them in depths, widths and family."""
FAMILIES = [f"mamba_{s}" for s in "tsb"] + [f"swin_{s}" for s in "tsb"] + ["conv_t"]
FAMILIES += [f"pvt_b{i}" for i in range(4)]
NAMES = {"mamba_micro", *FAMILIES, *(f"{name}_free" for name in FAMILIES)}


def small(stages: str, wiring: str = "published", rest: str = "") -> SearchSpace:
    """A space of two stages; its baselines are plain where the choices allow nothing else."""
    return parse_space(
        f"{{schema: 1, name: x, about: x, backbone: mamba, wiring: {wiring}, stages: [{stages}], "
        "baselines: {sparx: [plain, plain], plain: [plain, plain], dense: [plain, plain]}"
        f"{rest}}}",
        "x.yaml",
    )


RICH = small(
    "{depth: [1, 2], width: [16, 24]}, {depth: [2, 4], width: 32, stride: [1, 2, 3], "
    "start: [none, 1, 2, 4], window: [1, all], density: [0.4, 1.0], keep: [nearest, spread], "
    "stage_input: [window, first]}"
)
FREE = small(
    "{depth: 1, width: 16, stage_input: [first, window]}, "
    "{depth: [1, 2, 3], width: [32, 48], stage_input: [window, first]}",
    "free",
)


@pytest.fixture(params=SHIPPED, scope="module")
def shipped(request: pytest.FixtureRequest) -> SearchSpace:
    return load_space(request.param)


def random_genotypes(space: SearchSpace, count: int) -> list[dict[str, object]]:
    choose = random.Random(7).choice
    return [{gene.name: choose(gene.choices) for gene in space.genes} for _ in range(count)]


@pytest.mark.parametrize("space", [*SHIPPED, RICH, FREE], ids=lambda s: getattr(s, "name", s))
def test_round_trips_of_random_genotypes(space: SearchSpace | str):
    space = load_space(space) if isinstance(space, str) else space
    by_id: dict[str, dict[str, object]] = {}
    for genotype in random_genotypes(space, 500):
        architecture = space.decode(genotype)
        canonical = space.canonical(genotype)
        assert space.decode(canonical).id == architecture.id
        assert space.canonical(canonical) == canonical == space.encode(architecture)
        assert by_id.setdefault(architecture.id, canonical) == canonical
    assert len(by_id) == len({tuple(sorted(g.items())) for g in by_id.values()})


@pytest.mark.parametrize("space", [RICH, FREE, load_space("mamba_micro")])
def test_counts_equal_brute_force(space: SearchSpace):
    names = [gene.name for gene in space.genes]
    rows = list(product(*(gene.choices for gene in space.genes)))
    ids = {space.decode(dict(zip(names, row, strict=True))).id for row in rows}
    assert len(rows) == space.genotypes()
    assert space.distinct() == (len(ids), True)
    listed = space.enumerate()
    assert listed is not None
    assert [len(listed), {a.id for a in listed}] == [len(ids), ids]
    assert space.enumerate(limit=len(ids) - 1) is None


def test_wirings_that_mix_the_input_are_counted_without_listing_them():
    space = small(
        "{depth: 1, width: 8}, {depth: 4, width: 8, stage_input: [first, window]}", "free"
    )
    graphs = list(_wirings(4))
    assert len(graphs) == len(set(graphs)) == 2**10
    expected = len(graphs) + sum(graph.mixes_input for graph in graphs)
    assert space.stages[1].distinct() == expected == len(list(space.stages[1].designs()))


def test_idle_genes_are_dropped_and_aliases_collapsed():
    space = small(
        "{depth: 2, width: 16, start: none, stride: [1, 2], window: [1, all]}, "
        "{depth: 3, width: 32, stride: [1, 3, 5], start: [none, 1], window: [all, 7, 2, 1]}"
    )
    assert [(g.name, g.choices) for g in space.genes] == [
        ("s2.stride", (1, 3)),
        ("s2.start", ("none", 1)),
        ("s2.window", ("all", 1)),
    ]
    assert [(d.name, d.reason) for d in space.dropped] == [
        ("s1.stride", "makes no difference, whatever its value"),
        ("s1.window", "makes no difference, whatever its value"),
        ("s2.stride", "5 always means the same as 3"),
        ("s2.window", "7 always means the same as all"),
        ("s2.window", "2 always means the same as all"),
    ]


def test_no_gene_left_is_idle_everywhere(shipped: SearchSpace):
    for gene in shipped.genes:
        for a, b in zip(gene.choices, gene.choices[1:], strict=False):
            assert any(
                shipped.decode(genotype | {gene.name: a}).id
                != shipped.decode(genotype | {gene.name: b}).id
                for genotype in random_genotypes(shipped, 300)
            ), gene


def test_free_genes_are_named_by_layers_and_fall_back_to_the_nearest():
    space = small("{depth: 1, width: 16, ganglia: no}, {depth: 2, width: 32}", "free")
    assert [g.name for g in space.genes] == ["2.1.ganglion", "2.2.ganglion", "2.2<-2.0", "2.2<-2.1"]
    alone = {"2.1.ganglion": 1, "2.2.ganglion": 1, "2.2<-2.0": 0, "2.2<-2.1": 0}
    assert space.decode(alone).graph.ganglia == {"2.1": ("2.0",), "2.2": ("2.1",)}
    assert space.canonical(alone) == alone | {"2.2<-2.1": 1}
    idle = {"2.1.ganglion": 0, "2.2.ganglion": 0, "2.2<-2.0": 1, "2.2<-2.1": 1}
    assert space.canonical(idle) == dict.fromkeys(idle, 0)


def test_shipped_spaces_express_their_baselines(shipped: SearchSpace):
    assert list(shipped.baselines) == ["sparx", "plain", "dense"]
    for architecture in shipped.baselines.values():
        genotype = shipped.encode(architecture)
        assert genotype is not None
        assert shipped.decode(genotype).id == architecture.id
        assert shipped.violations(shipped.cost(architecture).to_dict()) == ()


@pytest.mark.parametrize("name", ["mamba_t", "mamba_t_free"])
def test_baselines_have_the_published_parameters(name: str):
    space = load_space(name)
    params = {key: space.cost(a).params for key, a in space.baselines.items()}
    assert params == {"sparx": 27_051_794, "plain": 20_704_536, "dense": 30_665_807}
    official = load_space("mamba_t").baselines["sparx"]
    assert space.baselines["sparx"].id == official.id


def test_guests_are_told_apart():
    space = load_space("mamba_micro")
    assert space.encode(load_space("mamba_t").baselines["plain"]) is None
    assert space.encode(Architecture(graph=plain((1, 2)), widths=(16, 24))) is None
    own = space.baselines["plain"]
    other = Architecture(graph=own.graph, widths=own.widths, norm="layer")
    assert space.encode(own) is not None
    assert space.encode(other) is None


def test_wrong_genotypes_are_refused():
    space = load_space("mamba_micro")
    genotype = dict(space.encode(space.baselines["plain"]) or {})
    del genotype["s2.start"]
    with pytest.raises(SpaceError) as caught:
        space.decode(genotype | {"s3.stride": 9, "s9.x": 1})
    for text in ("s2.start is None", "s3.stride is 9; it is one of 1, 2", "no gene s9.x"):
        assert text in str(caught.value)


def test_samples_are_seeded_and_keep_the_limits():
    free = load_space("mamba_micro")
    costs = sorted(free.cost(a).params for a in free.enumerate() or [])
    middle = costs[len(costs) // 2]
    text = free.source_text + f"limits: {{params: {middle}}}\n"
    space = parse_space(text, "x.yaml")
    assert space.sample(5).id == space.sample(5).id
    assert len({space.sample(seed).id for seed in range(30)}) > 5
    assert all(space.cost(space.sample(seed)).params <= middle for seed in range(30))
    nothing = parse_space(free.source_text + "limits: {params: 1K}\n", "x.yaml")
    with pytest.raises(NoFeasibleError, match=r"params 1\d\d k to 2\d\d k \(limit 1.00 k\)"):
        nothing.sample(0)


def test_violations_are_sentences():
    space = load_space("mamba_t")
    assert space.violations({"params": 33_100_000}) == ("params 33.1 M > 32.0 M",)
    assert space.violations({"params": 32_000_001}) == ("params 32,000,001 > 32,000,000",)
    assert space.violations({"params": 32_000_000}) == ()


def test_fingerprint_follows_meaning():
    text = load_space("mamba_micro").source_text
    same = parse_space("# a comment\n" + text.replace("epochs: 4", "epochs: 9"), "x.yaml")
    assert same.fingerprint == load_space("mamba_micro").fingerprint
    changes = [
        ("width: 32", "width: 36"),
        ("image_size: 32", "image_size: 64"),
        ("[all, 1]", "all"),
    ]
    prints = {parse_space(text.replace(*change), "x.yaml").fingerprint for change in changes}
    settings = {
        parse_space(text + line, "x.yaml").fingerprint
        for line in ("limits: {macs: 5G}", "mlp_ratio: 3", "reductions: [8, 4, 2, 2]")
    }
    assert len(prints | settings | {same.fingerprint}) == 7


def test_settings_reach_the_architecture():
    space = small(
        "{depth: 1, width: 16}, {depth: 1, width: 32}",
        rest=", stem: v2, norm: layer, mixer: {state_dim: 4}, expand: 1, mlp_ratio: [2, 3], "
        "layer_scale: [none, 0.5], reductions: [4, 2]",
    )
    plain_one = space.baselines["plain"]
    assert (plain_one.stem, plain_one.norm, plain_one.mixer.state_dim) == ("v2", "layer", 4)
    assert plain_one.expand == (1.0, 1.0)
    assert plain_one.mlp_ratio == (2.0, 3.0)
    assert plain_one.layer_scale == (None, 0.5)
    assert plain_one.reductions == (4, 2)
    assert space.genes == ()
    assert space.distinct() == (1, True)


def test_spaces_are_found_by_name_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = load_space("mamba_micro").source_text
    folder = tmp_path / "search_spaces"
    folder.mkdir()
    (folder / "mine.yaml").write_text(text)
    (folder / "broken.yaml").write_text("stages: [")
    monkeypatch.chdir(tmp_path)
    assert load_space("mine").fingerprint == load_space("search_spaces/mine.yaml").fingerprint
    listed = {info.name: info for info in list_spaces()}
    assert set(listed) == {*NAMES, "mine", "broken"}
    assert listed["mine"].source == "yours"
    assert listed["mamba_t"].source == "shipped"
    assert "mistakes" in listed["broken"].about
    (folder / "mamba_t.yaml").write_text(text)
    with pytest.raises(SpaceError, match="2 spaces are named 'mamba_t'"):
        load_space("mamba_t")
