"""One training step after another: clips, damage, network, loss, optimisers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from flashvsr_engine.devices import resolve_dtype
from flashvsr_engine.weights import Network as WeightsNetwork
from torch import Tensor

from train.clips import ClipSynthesizer
from train.config import TrainConfig
from train.degrade import Bicubic, Degradation
from train.loss import clip_loss
from train.motion import Random
from train.network import LATENT_STRIDE, LOOK_AHEAD, Network
from train.optim import Average, Optimiser
from train.photos import PhotoPool
from train.reparam import folded_state, parametrise

LATENT_CHANNELS = 16
WHITENING_BATCHES = 4

Losses = tuple[Tensor, Tensor]


class Trainer:
    """A network in training. The same seed, device and settings give the same steps on a CPU."""

    def __init__(
        self, config: TrainConfig, pool: PhotoPool, compiled: bool, initial: WeightsNetwork | None = None
    ) -> None:
        """`initial`: weights to go on from, of the configuration's sizes."""
        device = pool.pixels.device
        torch.manual_seed(config.seed)
        generator = torch.Generator(device=device).manual_seed(config.seed)
        self.steps = 0
        self.clips = 0
        self._config = config
        self._random = Random(generator)
        self._clips = ClipSynthesizer(pool, config.data, config.frames, generator)
        self._damage = [Degradation(config.data.crop, scale, self._random) for scale in config.scales]
        self._enlarge = [Bicubic(round(config.data.crop / scale), config.data.crop, device) for scale in config.scales]
        self._batches = 0
        self._network = Network(config.model).to(device)
        decoder = self._network.decoder
        first = decoder.get_submodule("decoder.1")
        assert isinstance(first, torch.nn.Conv2d)
        if initial is None:
            parametrise(decoder, first, self._covariance(first))
        else:  # weights that were exported are in terms of the plain input; going on, it stays so
            self._network.load_weights(initial)
            parametrise(decoder, None, None)
        decoder.to(memory_format=torch.channels_last)
        self._optimiser = Optimiser(self._network, config.optim)
        self._average = Average(self._network, config.optim.ema)
        self._losses: Callable[[Tensor, Tensor, Tensor], Losses] = self._forward
        if compiled:
            self._losses = torch.compile(self._forward, dynamic=False)

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._random.generator.device

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self._network.parameters())

    def step(self, progress: float) -> Losses:
        """One optimiser step at this part of the run; returns its loss and bicubic's, both on the device."""
        batches = self._config.optim.batches(progress)
        losses = []
        for _ in range(batches):
            loss, bicubic = self._losses(*self.batch())
            (loss / batches).backward()
            losses.append(torch.stack((loss.detach(), bicubic)))
        self._optimiser.step(self.steps, progress)
        self._average.update()
        self.steps += 1
        self.clips += batches * self._config.data.batch
        mean = torch.stack(losses).mean(0)
        return mean[0], mean[1]

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Upscaled input and noise for `Network.forward`, and the truth of what it returns."""
        config = self._config
        clips = self._clips.batch()
        damaged = round(config.data.degraded * config.data.batch)
        turn = self._batches % len(config.scales)
        self._batches += 1
        lq = self._enlarge[turn](self._damage[turn](clips, damaged)) * 2 - 1
        truth = clips[:, :, :-LOOK_AHEAD].transpose(1, 2) * 2 - 1
        side = config.data.crop // LATENT_STRIDE
        noise = self._random.normal(len(clips), LATENT_CHANNELS, config.latents, side, side)
        return lq, noise, truth

    def averaged(self) -> Network:
        """The network as it is to be served: averaged weights, plain layers, on the CPU."""
        network = Network(self._config.model)
        with self._average.applied():
            network.load_state_dict(folded_state(self._network))
        return network.requires_grad_(False)

    def _forward(self, lq: Tensor, noise: Tensor, truth: Tensor) -> Losses:
        fast = resolve_dtype("auto", lq.device) is torch.bfloat16
        with torch.autocast(lq.device.type, torch.bfloat16, enabled=fast):
            frames = self._network(lq, noise)
        bicubic = lq[:, :, :-LOOK_AHEAD].transpose(1, 2)
        return clip_loss(frames, truth, self._config.loss), clip_loss(bicubic, truth, self._config.loss)

    @torch.no_grad()
    def _covariance(self, first: torch.nn.Conv2d) -> Tensor:
        """The second moments of what the decoder's first convolution sees, (channels, channels)."""
        sums: list[Tensor] = []

        def gather(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].transpose(0, 1).flatten(1)
            sums.append(x @ x.T / x.shape[1])

        with first.register_forward_pre_hook(gather):
            for _ in range(WHITENING_BATCHES):
                lq, noise, _truth = self.batch()
                self._network(lq, noise)
        return torch.stack(sums).mean(0)
