"""The network: features of a window to classes, valence, arousal and whether it is speech at all."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.emotion import CLASSES
from worker.emotion.features import BANDS, CHANNELS

OUTPUTS = len(CLASSES) + 3
"""Columns of the output: a logit for each of CLASSES, valence and arousal in -1 to 1, and a logit for speech."""


class Network(nn.Module):
    """Convolutions over time and frequency, dilated ones over time, a bidirectional GRU and attention pooling.

    Any number of frames from 50 on; all windows of a batch are equally long, so nothing is padded.
    """

    def __init__(self, width: int = 160, dropout: float = 0.4) -> None:
        super().__init__()
        self.options = {"width": width, "dropout": dropout}
        self.scale = nn.BatchNorm1d(CHANNELS)
        self.spectrum = nn.Sequential(
            _conv(1, 32, 5, (2, 2)),
            _conv(32, 48, 3, (1, 2)),
            _conv(48, 64, 3, (2, 2)),
            _conv(64, 96, 3, (1, 2)),
        )
        self.pitch = nn.Sequential(_conv1(3, 24, 2), _conv1(24, 32, 2))
        self.join = nn.Sequential(nn.Conv1d(96 * (BANDS // 16) + 32, width, 1), nn.BatchNorm1d(width), nn.ReLU())
        self.body = nn.Sequential(*(_Residual(width, dilation) for dilation in (1, 2, 4, 8)))
        self.memory = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)
        self.attend = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 4))
        self.head = nn.Sequential(nn.Linear(5 * width, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, OUTPUTS))

    def forward(self, shown: Tensor) -> Tensor:
        """Features of shape (batch, frames, CHANNELS) to outputs of shape (batch, OUTPUTS)."""
        scaled = self.scale(shown.transpose(1, 2))
        bands, pitch = scaled[:, :BANDS], scaled[:, BANDS:]
        maps = self.spectrum(bands.transpose(1, 2).unsqueeze(1))
        maps = maps.transpose(2, 3).flatten(1, 2)
        steps = self.body(self.join(torch.cat((maps, self.pitch(pitch)), dim=1))).transpose(1, 2)
        steps = self.drop(self.memory(steps)[0] + steps)
        weights = torch.softmax(self.attend(steps), dim=1)
        means = torch.einsum("bth,btw->bhw", weights, steps)
        even = weights.mean(dim=2, keepdim=True)
        mean = (even * steps).sum(dim=1, keepdim=True)
        spread = ((even * (steps - mean) ** 2).sum(dim=1) + 1e-5).sqrt()
        out: Tensor = self.head(torch.cat((means.flatten(1), spread), dim=1))
        count = len(CLASSES)
        return torch.cat((out[:, :count], torch.tanh(out[:, count:-1]), out[:, -1:]), dim=1)


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.second = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm1d(width), nn.BatchNorm1d(width)])

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(x + self.norms[1](self.second(inner)))


def _conv(inputs: int, outputs: int, size: int, stride: tuple[int, int]) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _conv1(inputs: int, outputs: int, stride: int) -> nn.Module:
    conv = nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())
