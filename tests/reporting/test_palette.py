import io

import numpy as np
from PIL import Image

import graphtask as gt
from graphtask.drawing.picture import rendered
from graphtask.drawing.style import DEAD
from graphtask.reporting.palette import quantized, with_few_colors

PNG = rendered(gt.plot.draw_grid({f"g{n}": gt.full_dag(n, stages=3) for n in range(12, 20)}), "png", dpi=160)


def pixels(image):
    return np.asarray(image.convert("RGB")).astype(int)


def test_a_picture_with_few_colors_looks_the_same_and_takes_a_third_of_the_bytes():
    small = with_few_colors(PNG)
    before, after = (pixels(Image.open(io.BytesIO(content))) for content in (PNG, small))
    assert len(small) < len(PNG) / 2.5
    assert np.abs(before - after).mean() < 0.5
    assert (after[(before == 255).all(axis=2)] == 255).all()


def test_frames_share_a_palette_in_which_paper_is_white_and_rare_colors_are_there():
    plain = Image.open(io.BytesIO(PNG)).convert("RGB")
    rare = plain.copy()
    rare.paste(DEAD, (0, 0, 4, 4))
    frames = quantized([rare, plain, plain])
    assert frames[0].getpalette() == frames[2].getpalette()
    for frame, image in zip(frames, (rare, plain, plain), strict=True):
        before, after = pixels(image), pixels(frame)
        assert (after[(before == 255).all(axis=2)] == 255).all()
        assert np.abs(before - after).mean() < 1
    assert (pixels(frames[0])[:4, :4] == pixels(rare)[:4, :4]).all()
