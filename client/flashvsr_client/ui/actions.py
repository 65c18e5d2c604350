"""What the page's buttons do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gradio as gr

from flashvsr_client.config import Encoding, Reading
from flashvsr_client.errors import ClientError, UsageError
from flashvsr_client.ui import view
from flashvsr_client.ui.engines import Engines
from flashvsr_client.ui.runner import Job, State, Wish
from flashvsr_client.ui.visits import Visits

AUTO: Final = "auto"
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Shown:
    """What a button changes on the page, in the order of its outputs. Fields that are None stay as they are."""

    message: str | None = None
    facts: str | None = None
    emptied: bool = False
    """Whether the field for an upload is ready for another one."""
    progress: str | None = None
    busy: bool | None = None
    frames: int | None = None
    """0: there is no result."""
    frame: int = 1
    pair: tuple[str, str] | None = None
    before: str | None = None
    after: str | None = None
    download: str | None = None

    def updates(self) -> tuple[Any, ...]:
        """Give it as Gradio takes it."""
        skip = gr.skip()
        result = self.frames is not None
        return (
            skip if self.message is None else self.message,
            skip if self.facts is None else self.facts,
            None if self.emptied else skip,
            skip if self.progress is None else self.progress,
            skip if self.busy is None else gr.update(interactive=not self.busy),
            skip if self.busy is None else gr.update(interactive=self.busy),
            gr.update(visible=not self.frames) if result else skip,
            gr.update(visible=bool(self.frames)) if result else skip,
            gr.update(maximum=max(2, self.frames or 0), value=self.frame, visible=self.frames != 1) if result else skip,
            self.pair if result else skip,
            (self.before or view.NOTHING) if result else skip,
            (self.after or view.NOTHING) if result else skip,
            gr.update(value=self.download, visible=self.download is not None) if result else skip,
        )


class Actions:
    """One for all pages."""

    def __init__(self, visits: Visits, engines: Engines) -> None:
        self._visits = visits
        self._engines = engines

    def greet(self) -> str:
        """Say at the head of a page that is opened where the work is done."""
        return view.header(self._engines.about())

    def arrived(self, payload: Any, request: gr.Request) -> tuple[Any, ...]:
        """Take an upload, as the browser names it: it may name anything."""
        path = payload.get("path") if isinstance(payload, dict) else None
        page = _page(request)
        try:
            info = self._visits.take(page, Path(str(path)))
        except ClientError as error:
            refused = replace(self._refusal(error), emptied=True)
            if self._visits.busy(page):
                return refused.updates()
            return replace(refused, facts=view.NOTHING, progress=view.NOTHING, frames=0).updates()
        facts = view.facts(info.path.name, info)
        return Shown(view.NOTHING, facts, emptied=True, progress=view.NOTHING, frames=0).updates()

    async def start(
        self,
        scale: int,
        mode: str,
        color_fix: str,
        seed: str | None,
        container: str,
        codec: str,
        crf: str | None,
        hdr: str,
        memory_limit: str | None,
        request: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Run the job, and show how far it is until it ends."""
        page = _page(request)
        try:
            encoding = Encoding(codec=None if codec == AUTO else codec, crf=_whole_number("crf", crf))
            wish = Wish(scale, _whole_number("seed", seed), container, encoding, Reading(hdr=hdr))
            if (defaults := self._engines.defaults) is not None:
                limit = (memory_limit or "").strip() or AUTO
                wish = replace(wish, engine=replace(defaults, mode=mode, color_fix=color_fix, memory_limit=limit))
            job = await asyncio.to_thread(self._visits.start, page, wish)
        except ClientError as error:
            yield self._refusal(error).updates()
            return
        try:
            shown = view.progress(job)
            yield Shown(view.NOTHING, progress=shown, busy=True, frames=0).updates()
            while not job.ended.is_set():
                await asyncio.sleep(_LOOK_SECONDS)
                if not job.ended.is_set() and (now := view.progress(job)) != shown:
                    shown = now
                    yield Shown(progress=shown).updates()
            yield (await asyncio.to_thread(self._ended, page, job)).updates()
        finally:
            job.cancel()  # where the page went away; a job that has ended does not mind

    def cancel(self, request: gr.Request) -> None:
        """Ask the page's job to end; :meth:`start` shows when it has."""
        self._visits.cancel(_page(request))

    def frame(self, number: Any, request: gr.Request) -> tuple[Any, Any]:
        """Show frame ``number``, from 1, before and after; or say why not.

        It is as the browser sends it: of a number that is none the nearest is shown, of an empty field nothing.
        """
        page = _page(request)
        if not isinstance(number, int | float) or self._visits.emptied(page):
            return gr.skip(), gr.skip()
        try:
            comparison = self._visits.compare(page)
            before, after = comparison.pair(int(min(max(1, number), comparison.frames)) - 1)
        except ClientError as error:
            return gr.skip(), view.message(self._visits.told(error), error=True)
        return (str(before), str(after)), gr.skip()

    def left(self, request: gr.Request) -> None:
        """The page was closed or loaded anew."""
        self._visits.leave(_page(request))

    def _ended(self, page: str, job: Job) -> Shown:
        progress = view.progress(job)
        if job.error is not None:
            text = view.message(self._visits.told(job.error), error=job.state is State.FAILED)
            return Shown(text, progress=progress, busy=False)
        assert job.report is not None, "a job that ended without an error has one"
        message, pair = view.report(job.report), None
        middle, size = job.report.frames // 2 + 1, (job.report.width, job.report.height)
        try:
            before, after = self._visits.compare(page).pair(middle - 1)
            pair = str(before), str(after)
        except ClientError as error:  # the film is there all the same
            message = view.message(self._visits.told(error), error=True)
        return Shown(
            message,
            progress=progress,
            busy=False,
            frames=job.report.frames,
            frame=middle,
            pair=pair,
            before=view.player(job.source, "Before", *size),
            after=view.player(job.target, "After", *size),
            download=str(job.target),
        )

    def _refusal(self, error: ClientError) -> Shown:
        return Shown(view.message(self._visits.told(error), error=True))


def _whole_number(name: str, text: str | None) -> int | None:
    """Read what a visitor typed; None for nothing. Raises :class:`UsageError`."""
    if text is None or not text.strip():
        return None
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"{name} {text!r} is no number: give a whole one, or leave it empty") from error


def _page(request: gr.Request) -> str:
    """Give the browser's name for its open page."""
    return str(request.session_hash)
