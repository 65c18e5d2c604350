"""What is where on the page. Every part that a script may want has an id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import gradio as gr

from flashvsr_client.config import HDR_TREATMENTS, LocalOptions
from flashvsr_client.transport.base import SCALES
from flashvsr_client.ui import view
from flashvsr_client.ui.actions import AUTO, Actions

CSS: Final = Path(__file__).with_name("page.css")
_TOO_LARGE: Final = Path(__file__).with_name("too_large.js")
_MODES: Final = ("tiny", "tiny-long", "full")
_COLOR_FIXES: Final = ("adain", "wavelet", "none")
_CODECS: Final = (AUTO, "h264", "hevc", "av1", "vp9")
_CONTAINERS: Final = ("mp4", "mkv", "mov", "webm")
_FONT: Final = ("system-ui", "sans-serif")
_MONO: Final = ("ui-monospace", "monospace")


def theme() -> gr.themes.Base:
    """Give colours and type: fonts of the system alone, since nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="stone",
        radius_size="md",
        font=_FONT,
        font_mono=_MONO,
    )


def page(actions: Actions, defaults: LocalOptions | None, max_upload: int) -> gr.Blocks:
    """Lay out the page; ``defaults`` of the engine here, None: a server decides; ``max_upload`` in bytes."""
    blocks = gr.Blocks(title="FlashVSR", analytics_enabled=False, fill_width=True)
    with blocks:
        head = gr.HTML(view.header(""), elem_id="head")
        with gr.Row(elem_id="main", equal_height=False):
            with gr.Column(scale=4, min_width=300, elem_id="controls"):
                video = gr.File(label=f"Video of up to {view.size(max_upload)}", elem_id="video-in", height=150)
                facts = gr.HTML(elem_id="facts")
                options = _options(defaults)
                with gr.Row(elem_id="buttons"):
                    start = gr.Button("Start", variant="primary", elem_id="start")
                    cancel = gr.Button("Cancel", interactive=False, elem_id="cancel")
                progress = gr.HTML(elem_id="progress")
                message = gr.HTML(elem_id="message", js_on_load=_too_large(max_upload))
                download = gr.DownloadButton("Download", visible=False, elem_id="download")
            with gr.Column(scale=9, min_width=300, elem_id="stage"):
                empty = gr.HTML(view.empty(), elem_id="empty")
                with gr.Column(visible=False, elem_id="result") as result:
                    compare = gr.ImageSlider(
                        label="Before and after",
                        show_label=False,
                        interactive=False,
                        max_height=560,
                        buttons=["fullscreen"],
                        elem_id="compare",
                    )
                    frame = gr.Slider(1, 2, value=1, step=1, label="Frame", elem_id="frame", interactive=True)
                    with gr.Row(elem_id="players"):
                        before = gr.HTML(elem_id="video-before", min_width=240)
                        after = gr.HTML(elem_id="video-out", min_width=240)
        outputs = [message, facts, video, progress, start, cancel]
        outputs += [empty, result, frame, compare, before, after, download]
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        blocks.load(actions.greet, None, head, **hidden)
        video.upload(actions.arrived, video, outputs, preprocess=False, **hidden)
        start.click(actions.start, options, outputs, concurrency_limit=None, **hidden)
        cancel.click(actions.cancel, None, None, **hidden)
        frame.change(actions.frame, frame, [compare, message], trigger_mode="always_last", preprocess=False, **hidden)
        blocks.unload(actions.left)
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


def _too_large(max_upload: int) -> str:
    """Give the script that refuses a file before it is sent."""
    sentence = (
        f"NAME has SIZE, and an upload may have {view.size(max_upload)}: cut it or make it smaller, or upscale it with "
        "`flashvsr upscale`"
    )
    return f"const LIMIT = {max_upload}, SENTENCE = {json.dumps(sentence)};\n{_TOO_LARGE.read_text()}"


def _options(defaults: LocalOptions | None) -> list[gr.components.Component]:
    """Give the choices, named as those of the command, in the order of `Actions.start`."""
    here = defaults is not None
    engine = defaults or LocalOptions()
    decided = None if here else "The server decides."
    scale = gr.Radio([(f"{scale}{view.TIMES}", scale) for scale in SCALES], value=4, label="Scale", elem_id="scale")
    mode = gr.Radio(
        list(_MODES), value=engine.mode if here else None, label="Mode", info=decided, interactive=here, elem_id="mode"
    )
    with gr.Accordion("More options", open=False, elem_id="more"):
        fix = "adain" if engine.color_fix is True else engine.color_fix or "none"
        color_fix = gr.Radio(
            list(_COLOR_FIXES),
            value=str(fix) if here else None,
            label="Color fix",
            info=decided,
            interactive=here,
            elem_id="color-fix",
        )
        with gr.Row():
            seed = gr.Textbox(label="Seed", placeholder="default", elem_id="seed", min_width=90)
            limit = gr.Textbox(
                str(engine.memory_limit) if here else "",
                label="Memory limit",
                placeholder="auto, none, 8GiB" if here else "the server decides",
                interactive=here,
                elem_id="memory-limit",
                min_width=90,
            )
        with gr.Row():
            container = gr.Dropdown(
                list(_CONTAINERS), value="mp4", label="Container", elem_id="container", min_width=90
            )
            codec = gr.Dropdown(list(_CODECS), value=AUTO, label="Codec", elem_id="codec", min_width=90)
            crf = gr.Textbox(label="CRF", placeholder="default", elem_id="crf", min_width=90)
        hdr = gr.Radio(list(HDR_TREATMENTS), value="refuse", label="HDR", elem_id="hdr")
    return [scale, mode, color_fix, seed, container, codec, crf, hdr, limit]
