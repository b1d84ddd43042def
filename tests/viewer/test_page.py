"""Journeys through the explorer in a real browser, with nothing wrong in its console."""

import json
import re

import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.drawing.report import report_html
from sparx_nas.ground.record import write_json
from sparx_nas.run_store import load_run, waiting, write_status
from sparx_nas.viewer.what_if import read_architecture
from support.browser import ARGUMENTS, CHROMIUM, axe_violations, click_trial, opened, served, until
from support.runs import SPACE, distinct, finished, large_run, new_run, new_study, opened_study

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: apt-get install chromium, to test the explorer's page"
)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
DESIGNS = distinct(9)
RANGE = "document.querySelector('#front .js-plotly-plot')._fullLayout.yaxis.range"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        made.close()


def made_run(parent):
    path = new_run(parent)
    study = new_study(path)
    for i, architecture in enumerate(DESIGNS[:6]):
        score = (0.62, 0.55, 0.7, 0.58, 0.66, 0.6)[i]
        finished(path, study, architecture, score, baseline="sparx" if i == 0 else "")
    write_status(path, state="finished", trained=5, asked=5)
    return path, study


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("runs"))[0]


@pytest.fixture(scope="module")
def address(run):
    with served(run) as found:
        yield found


def drawn_edges(page):
    return set(
        map(
            tuple,
            page.eval_on_selector_all(
                "#drawing [data-kind=aggregate]",
                "all => all.map(e => [e.dataset.source, e.dataset.target])",
            ),
        )
    )


def edges(architecture):
    return {(s, layer) for layer, row in architecture.graph.ganglia.items() for s in row}


def wait_for_trial(page, number):
    until(
        page, "n => document.getElementById('facts-title').textContent === n", arg=f"Trial {number}"
    )
    until(
        page,
        "n => document.getElementById('wiring-title').textContent === n",
        arg=f"Trial {number}",
    )


def edit(page):
    page.keyboard.press("e")
    page.wait_for_selector("#edit-panel:not([hidden])")
    page.wait_for_selector("#drawing.editable")


def cost(page, name):
    return int(page.get_attribute(f"[data-cost={name}]", "data-exact"))


def test_a_click_on_a_point_shows_its_wiring_and_the_link_leads_back(browser, address):
    with opened(browser, address) as page:
        for number in (3, 4):
            click_trial(page, number)
            wait_for_trial(page, number)
            until(
                page,
                "n => document.querySelectorAll('#drawing [data-kind=aggregate]').length === n",
                arg=len(edges(DESIGNS[number])),
            )
            assert drawn_edges(page) == edges(DESIGNS[number])
        click_trial(page, 2, shift=True)
        until(
            page,
            "w => document.getElementById('compare-words').textContent.startsWith(w)",
            "From trial 4 (A) to trial 2 (B)",
        )
        words = page.inner_text("#compare-words")
        link = page.url
        assert "trial=4" in link
        assert "vs=2" in link
        page.goto(link)
        wait_for_trial(page, 4)
        until(page, "w => document.getElementById('compare-words').textContent === w", arg=words)


def test_back_and_forward_go_through_the_selections(browser, address):
    with opened(browser, f"{address}?trial=0&sort=-top1") as page:
        wait_for_trial(page, 0)
        page.keyboard.press("]")
        until(page, "!location.search.includes('trial=0')")
        second = page.inner_text("#facts-title")
        page.go_back()
        wait_for_trial(page, 0)
        assert "sort=-top1" in page.url
        page.go_forward()
        until(page, "t => document.getElementById('facts-title').textContent === t", arg=second)
        first = page.inner_text("#table tbody tr[data-number] >> nth=0")
        assert first.startswith("2\t")


def test_a_link_to_what_is_not_there_says_so(browser, address):
    with opened(browser, f"{address}?run=nothing", empty=True) as page:
        assert "There is no run" in page.inner_text("#notice")


def test_a_trial_that_is_not_there_is_said_and_another_shown(browser, address):
    with opened(browser, f"{address}?trial=77") as page:
        assert "no trial 77" in page.inner_text("#notice")
        assert page.inner_text("#facts-title").startswith("Trial")


def test_what_if_counts_exactly_undoes_and_names_mistakes(browser, address):
    with opened(browser, f"{address}?trial=3") as page:
        wait_for_trial(page, 3)
        edit(page)
        before = cost(page, "params")
        assert before == SPACE.cost(DESIGNS[3]).params
        normal = next(
            f"{i}.{layer}"
            for i, stage in enumerate(DESIGNS[3].graph.stages, 1)
            for layer in range(1, stage.depth + 1)
            if stage.kind(layer) == "normal"
        )
        page.click(f"#drawing [data-layer='{normal}'] >> nth=0")
        until(
            page,
            "was => Number(document.querySelector('[data-cost=params]').dataset.exact) !== was",
            arg=before,
        )
        ganglia = page.evaluate(
            "import('/page/state.js').then(m => m.state.edit.architecture.ganglia)"
        )
        assert normal in ganglia
        value = {**DESIGNS[3].to_dict(), "ganglia": ganglia}
        changed = read_architecture(value, "page")
        assert cost(page, "params") == SPACE.cost(changed).params
        assert cost(page, "macs") == SPACE.cost(changed).macs
        assert "edit=" in page.url
        page.keyboard.press("u")
        until(
            page,
            "was => Number(document.querySelector('[data-cost=params]').dataset.exact) === was",
            arg=before,
        )
        assert "Same design as trial 3" in page.inner_text("#same")
        page.keyboard.press("U")
        until(
            page,
            "was => Number(document.querySelector('[data-cost=params]').dataset.exact) !== was",
            arg=before,
        )
        page.goto(page.url)
        page.wait_for_selector("#edit-panel:not([hidden])")
        assert cost(page, "params") == SPACE.cost(changed).params


def test_a_slider_wires_a_stage_by_the_rule(browser, address):
    with opened(browser, f"{address}?trial=3") as page:
        wait_for_trial(page, 3)
        edit(page)
        slider = page.locator("fieldset").nth(2).locator("[name=start]")
        depth = DESIGNS[3].graph.depths[2]
        slider.evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('change')); }", depth + 1
        )
        until(
            page,
            "document.querySelectorAll('fieldset')[2].querySelector('.rule').textContent"
            " === 'no ganglia'",
        )


def test_a_design_is_sent_to_the_study_and_said(browser, tmp_path):
    path, _ = made_run(tmp_path)
    with served(path) as address, opened(browser, f"{address}?trial=3") as page:
        wait_for_trial(page, 3)
        edit(page)
        assert page.is_disabled("#enqueue")
        assert "same" in page.inner_text("#verdict").lower()
        page.locator("fieldset").nth(2).locator("[name=start]").evaluate(
            "e => { e.value = 1; e.dispatchEvent(new Event('change')); }"
        )
        page.wait_for_selector("#enqueue:not([disabled])")
        words = page.inner_text("#verdict")
        assert "resume" in words
        page.click("#enqueue")
        page.wait_for_selector("#notice:not([hidden])")
        page.wait_for_selector("#enqueue[disabled]")
        (queued,) = waiting(path)
        assert queued.architecture.id not in {a.id for a in DESIGNS[:6]}
        page.keyboard.press("6")
        row = page.wait_for_selector(f"#sent [data-sent='{queued.number}']")
        assert "queued" in row.inner_text()
        assert queued.architecture.graph.id[:8] in row.inner_text()
        assert "1 sent and queued" in page.inner_text("#progress")
        assert page.inner_text("#run-name") == path.name
        page.click("#sent button")
        page.wait_for_selector("#sent [data-sent]", state="detached")
        page.wait_for_selector("#enqueue:not([disabled])")
    assert waiting(path) == ()


def test_a_growing_run_arrives_and_disturbs_nothing(browser, tmp_path):
    path, _ = made_run(tmp_path)
    write_status(path, state="running", trained=5, asked=8)
    with served(path) as address, opened(browser, f"{address}?trial=3&view=matrix") as page:
        wait_for_trial(page, 3)
        box = page.locator("#front .nsewdrag").bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + 150, box["y"] + 150, steps=5)
        page.mouse.up()
        page.wait_for_timeout(500)
        zoomed = page.evaluate(RANGE)
        finished(path, opened_study(path, create=False), DESIGNS[6], 0.75)
        until(page, "document.querySelectorAll('#table tr[data-number]').length === 7")
        assert "1 new trial" in page.inner_text("#notice")
        assert "trial=3" in page.url
        page.wait_for_timeout(500)
        assert page.evaluate(RANGE) == zoomed


def test_the_keyboard_alone_is_enough(browser, address):
    with opened(browser, f"{address}?trial=0") as page:
        wait_for_trial(page, 0)
        page.keyboard.press("t")
        until(page, "document.activeElement.dataset.number === '0'")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        wait_for_trial(page, 1)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("c")
        until(page, "location.search.includes('vs=2')")
        page.keyboard.press("Escape")
        until(page, "!location.search.includes('vs=')")
        page.keyboard.press("]")
        wait_for_trial(page, 2)
        page.keyboard.press("v")
        until(page, "location.search.includes('view=matrix')")
        page.keyboard.press("v")
        page.keyboard.press("v")
        until(page, "!location.search.includes('view=')")
        edit(page)
        page.keyboard.press("w")
        until(page, "document.activeElement.dataset.layer === '1.0'")
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        before = page.inner_text("#difference")
        page.keyboard.press("Enter")
        until(page, "was => document.getElementById('difference').textContent !== was", arg=before)
        page.keyboard.press("3")
        page.wait_for_selector("#layers tbody tr")
        page.keyboard.press("?")
        page.wait_for_selector("dialog[open]")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog[open]", state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, address, scheme):
    with opened(browser, f"{address}?trial=3&vs=2", color_scheme=scheme) as page:
        wait_for_trial(page, 3)
        assert axe_violations(page) == []
        page.keyboard.press("Escape")
        edit(page)
        for tab in "123456":
            page.keyboard.press(tab)
            page.wait_for_timeout(150)
            assert axe_violations(page) == []


def test_a_phone_sees_everything_without_scrolling_sideways(browser, address):
    with opened(browser, address) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_timeout(300)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
        edit(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_exports_and_layers_agree_with_the_wiring(browser, address, tmp_path):
    with opened(browser, f"{address}?trial=4&tab=layers") as page:
        wait_for_trial(page, 4)
        rows = page.eval_on_selector_all(
            "#layers tbody tr",
            "all => all.map(r => [r.cells[0].textContent, r.cells[5].textContent])",
        )
        told = {layer: reads.split(", ") for layer, reads in rows if reads != "-"}
        assert {k: tuple(v) for k, v in told.items()} == DESIGNS[4].graph.ganglia
        page.click("#exports summary")
        with page.expect_download() as download:
            page.click("[data-export=json]")
        file = tmp_path / "got.json"
        download.value.save_as(file)
        assert Architecture.load(file) == DESIGNS[4]
        page.click("#exports summary")
        with page.expect_download() as picture:
            page.click("[data-export=png]")
        picture.value.save_as(tmp_path / "got.png")
        assert (tmp_path / "got.png").read_bytes()[:4] == b"\x89PNG"


def test_the_lasso_filters_the_table_and_stays(browser, address):
    with opened(browser, address) as page:
        page.click("#front [data-title='Lasso Select']")
        box = page.locator("#front .nsewdrag").bounding_box()
        x, y, w, h = (box[key] for key in ("x", "y", "width", "height"))
        half = y + h / 2
        page.mouse.move(x + 2, y + 2)
        page.mouse.down()
        for at in ((x + w - 4, y + 2), (x + w - 4, half), (x + 2, half), (x + 2, y + 4)):
            page.mouse.move(*at, steps=8)
        page.mouse.up()
        until(page, "document.getElementById('shown').textContent.includes(' of 6 trials')")
        shown = page.inner_text("#shown")
        assert not shown.startswith("Showing 0")
        page.wait_for_timeout(500)
        assert page.inner_text("#shown") == shown
        page.click("#unfilter")
        until(page, "document.getElementById('shown').textContent === 'All 6 trials'")


def found_rows(page, words):
    page.fill("#find", words)
    page.wait_for_timeout(50)
    # What is asked of stages comes a moment later.
    until(
        page,
        "() => import('/page/state.js').then(m => !/s\\d[.]/.test(m.state.find) || m.state.stages)",
    )
    page.wait_for_timeout(100)
    numbers = page.eval_on_selector_all(
        "#table tr[data-number]", "all => all.map(r => Number(r.dataset.number))"
    )
    return numbers, page.inner_text("#find-says")


def test_the_search_knows_properties_and_says_what_it_does_not_know(browser, run, address):
    trials = load_run(run).trials
    ganglia = {t.number: len(t.architecture.graph.ganglia) for t in trials}
    third = {t.number: t.architecture.graph.stages[2] for t in trials}
    middle = sorted(ganglia.values())[3]
    params = sorted(t.cost["params"] for t in trials)[3]
    expected = {
        f"ganglia>{middle}": {n for n, g in ganglia.items() if g > middle},
        f"ganglia <= {middle}": {n for n, g in ganglia.items() if g <= middle},
        f"ganglia={middle}": {n for n, g in ganglia.items() if g == middle},
        f"ganglia!={middle}": {n for n, g in ganglia.items() if g != middle},
        f"params<{params / 1e3:.4f}k": {t.number for t in trials if t.cost["params"] < params},
        "top1>=60%": {t.number for t in trials if t.top1 >= 0.6},
        "top1 >= 60 % state=complete": {t.number for t in trials if t.top1 >= 0.6},
        "top1>0.6 role=sparx": {t.number for t in trials if t.top1 > 0.6 and t.baseline},
        "role!=sparx": {t.number for t in trials if not t.baseline},
        "trial=3": {3},
        "s3.ganglia>1": {n for n, s in third.items() if len(s.ganglia) > 1},
        f"s3.depth={third[3].depth}": {n for n, s in third.items() if s.depth == third[3].depth},
        "s3.start>=2": {n for n, s in third.items() if s.ganglia and s.ganglia[0] >= 2},
    }
    with opened(browser, address) as page:
        for words, numbers in expected.items():
            assert (set(found_rows(page, words)[0]), words) == (numbers, words)
            assert found_rows(page, words)[1] == ""
        mistakes = {
            "gangliar>3": "There is no property “gangliar”; did you mean ganglia?",
            "s3.colour=2": "A stage has no “colour”",
            "s9.ganglia>0": "There is no stage 9; stages are 1 to 4",
            "ganglia>": "ganglia> what?",
            "ganglia>many": "“many” is no number",
            "top1>60": "write 60 % or 0.6",
            "state>3": "state is a word",
            "nonsense": "No trial has “nonsense”",
        }
        for words, said in mistakes.items():
            assert said in found_rows(page, words)[1]


def test_fast_changes_are_all_made(browser, address):
    with opened(browser, f"{address}?trial=3") as page:
        wait_for_trial(page, 3)
        edit(page)
        stage, depth = 3, DESIGNS[3].graph.depths[2]
        before = set(DESIGNS[3].graph.ganglia)
        page.evaluate(
            """([stage, depth]) => import('/page/what-if.js').then(m => Promise.all(
              Array.from({ length: depth }, (_, i) =>
                m.change({ kind: 'layer', stage, layer: i + 1 }))))""",
            [stage, depth],
        )
        ganglia = page.evaluate(
            "import('/page/state.js').then(m => Object.keys(m.state.edit.architecture.ganglia))"
        )
        assert set(ganglia) ^ before == {f"3.{layer}" for layer in range(1, depth + 1)}
        for _ in range(depth):
            page.keyboard.press("u")
        until(page, "document.getElementById('same').textContent.includes('trial 3')")


def test_the_matrix_is_changed_with_the_keyboard(browser, address):
    with opened(browser, f"{address}?trial=3&view=matrix") as page:
        wait_for_trial(page, 3)
        edit(page)
        page.keyboard.press("w")
        until(page, "document.activeElement.dataset.edge !== undefined")
        before = page.get_attribute("[data-cost=params]", "data-exact")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        until(
            page,
            "was => document.querySelector('[data-cost=params]').dataset.exact !== was",
            arg=before,
        )
        until(page, "document.activeElement.dataset.edge !== undefined")


def test_the_table_is_entered_by_key_wherever_the_selected_trial_stands(browser, tmp_path):
    with served(large_run(tmp_path, 400)) as address, opened(browser, address) as page:
        for words, sort, selected in (
            ("", "number", 390),
            ("", "-number", 5),
            ("trial<9", "number", 390),
        ):
            page.evaluate(
                "([find, sort, trial]) => import('/page/state.js')"
                ".then(m => m.set({ find, sort, trial }))",
                [words, sort, selected],
            )
            page.evaluate("document.getElementById('table-scroll').scrollTop = 0")
            page.wait_for_timeout(200)
            assert page.locator("#table tr[tabindex='0']").count() == 1
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press("t")
            wanted = "0" if words else str(selected)
            until(page, "n => document.activeElement.dataset.number === n", arg=wanted)
            page.keyboard.press("ArrowDown")
            until(
                page, "n => ![undefined, n].includes(document.activeElement.dataset.number)", wanted
            )


def test_the_population_is_of_what_lasso_and_search_leave(browser, run, address):
    trials = load_run(run).trials
    with opened(browser, f"{address}?view=population") as page:
        words = "document.getElementById('compare-words').textContent"
        until(page, f"{words}.includes('on the front')")
        assert "lasso" not in page.inner_text("#compare-words")
        page.evaluate("import('/page/state.js').then(m => m.set({ filter: new Set([1, 2, 3]) }))")
        until(page, f"{words}.includes('of the 3 trials')")
        kept = [t for t in trials if t.number in (1, 2, 3)]
        assert drawn_edges(page) == set().union(*(edges(t.architecture) for t in kept))
        page.fill("#find", "trial=3")
        until(page, f"{words}.includes('of the 1 trial ')")
        assert drawn_edges(page) == edges(trials[3].architecture)


def test_drawing_cost_and_the_sliders_of_any_stage_are_in_sight_together(browser, address):
    with opened(browser, f"{address}?trial=3") as page:
        page.set_viewport_size({"width": 1440, "height": 900})
        wait_for_trial(page, 3)
        edit(page)
        for stage in range(4):
            page.locator("#stages button").nth(stage).click()
            shown = page.locator("#sliders fieldset:visible")
            assert shown.count() == 1
            assert f"Stage {stage + 1}" in shown.inner_text()
            for part in ("#drawing svg", "#cost", "#sliders fieldset:not([hidden])"):
                box = page.locator(part).bounding_box()
                assert box["y"] >= 0
                assert box["y"] + box["height"] <= 900


def test_a_filter_after_scrolling_shows_what_it_found(browser, tmp_path):
    with served(large_run(tmp_path, 400)) as address, opened(browser, address) as page:
        page.evaluate("document.getElementById('table-scroll').scrollTop = 1e6")
        page.wait_for_timeout(200)
        page.fill("#find", "sparx")
        until(page, "document.getElementById('shown').textContent.includes('of 400')")
        until(page, "document.querySelectorAll('#table tr[data-number]').length > 0")


def test_hostile_names_and_values_stay_text(browser, tmp_path):
    hostile = "</script><img src=x onerror=document.title='owned'>"
    path, study = made_run(tmp_path)
    finished(path, study, DESIGNS[7], 0.9, baseline=hostile)
    env = json.loads((path / "env.json").read_text())
    env["data"]["name"] = hostile
    write_json(path / "env.json", env)
    moved = path.rename(tmp_path / "<b onclick=x>&\"'")
    with served(moved) as address, opened(browser, f"{address}?trial=6") as page:
        until(page, "document.getElementById('facts-role').textContent.includes('img')")
        assert page.title() != "owned"
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("b[onclick]").count() == 0
        page.keyboard.press("2")
        page.wait_for_timeout(300)
        assert page.locator("img[src=x]").count() == 0


def test_ten_thousand_trials_are_told_small_and_drawn_few(browser, tmp_path):
    path = large_run(tmp_path, 10_000)
    with served(path) as address, opened(browser, address) as page:
        size = page.evaluate(
            "performance.getEntriesByType('resource').find(e => e.name.endsWith('/trials'))"
            ".encodedBodySize"
        )
        assert 0 < size <= 300_000
        assert page.locator("#table tbody tr").count() < 60
        assert "All 10,000 trials" in page.inner_text("#shown")
        assert page.locator("#front .scatterlayer path.point").count() < 2_300
        page.fill("#find", "failed")
        until(page, "document.getElementById('shown').textContent.includes('of 10,000')")
        page.evaluate("document.getElementById('table-scroll').scrollTop = 1e6")
        page.wait_for_timeout(200)
        assert 0 < page.locator("#table tr[data-number]").count() < 60


def test_a_space_without_a_run_can_be_changed_and_costed(browser):
    with served(None, space="mamba_micro") as address, opened(browser, address) as page:
        assert "space" in page.inner_text("#state")
        edit(page)
        assert page.is_disabled("#enqueue")
        assert cost(page, "macs") > 0


def test_the_report_opens_from_disk_without_a_network(browser, run, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(report_html(load_run(run)))
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert page.locator("svg.sx-wiring").count() >= 2
    assert [url for url in asked if not re.match("file:|data:", url)] == []
    context.close()


def test_no_two_ticks_of_an_axis_say_the_same_however_far_it_is_zoomed(browser, address):
    with opened(browser, address) as page:
        for width in (1.0, 0.2, 0.05, 0.02, 0.008, 0.002, 0.0005):
            page.evaluate(
                "span => Plotly.relayout(document.querySelector('#front .js-plotly-plot'),"
                "{ 'yaxis.range': span })",
                [0.6 - width / 2, 0.6 + width / 2],
            )
            page.wait_for_timeout(300)
            told = page.eval_on_selector_all("#front .ytick text", "a => a.map(e => e.textContent)")
            assert len(told) >= 2
            assert len(set(told)) == len(told), told
            assert all(label.endswith("%") for label in told)
