"""A film of pictures: H.264 in mp4, or GIF where there is no encoder."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from voxbox_core.errors import InputError
from voxbox_core.files import whole_file

_GIF_WIDTH = 960  # px: GIFs are large


def write_video(folder: Path, name: str, pictures: Iterable[np.ndarray], rate: float) -> Path:
    """Write pictures (H, W, 3) uint8 RGB of one size, H and W even, at `rate` pictures/s; -> the file's path.

    Raises InputError when there is no picture.
    """
    source = iter(pictures)
    first = next(source, None)
    if first is None:
        raise InputError("pictures of the film", "none", "at least one", "Check what was played.")
    everything = chain([first], source)
    if _encoder() is None:
        return _write_gif(folder / f"{name}.gif", everything, rate)
    return _write_mp4(folder / f"{name}.mp4", everything, rate, (first.shape[1], first.shape[0]))


def _encoder() -> str | None:
    """Path of ffmpeg: the one that imageio-ffmpeg brings, else the system's."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


def _write_mp4(path: Path, pictures: Iterator[np.ndarray], rate: float, size: tuple[int, int]) -> Path:
    import imageio_ffmpeg

    with whole_file(path) as temporary:
        film = imageio_ffmpeg.write_frames(
            str(temporary),
            size,
            fps=rate,
            codec="libx264",
            pix_fmt_out="yuv420p",
            macro_block_size=2,
            output_params=["-crf", "23", "-preset", "veryfast", "-movflags", "+faststart"],
        )
        film.send(None)
        try:
            for picture in pictures:
                film.send(np.ascontiguousarray(picture))
        finally:
            film.close()
    return path


def _write_gif(path: Path, pictures: Iterator[np.ndarray], rate: float) -> Path:
    from PIL import Image

    frames = []
    for picture in pictures:
        frame = Image.fromarray(picture)
        height = round(frame.height * _GIF_WIDTH / frame.width)
        frames.append(frame.resize((_GIF_WIDTH, height)).quantize(128))
    with whole_file(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=round(1000 / rate), loop=0)
    return path
