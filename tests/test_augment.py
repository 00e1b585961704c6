"""Altered pictures: each transform does what its name says, for itself."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from latexocr.errors import ImageError
from latexocr.imaging import prepare, symbol_size
from latexocr.tokenizer import build_tokenizer
from tests.conftest import draw
from tests.tiny_foreign import png
from trainer.data.augment import Affine, Camera, Jitter, Patches, PictureAugment, Rules, alter
from trainer.data.batches import Draw, DrawnExamples
from trainer.data.examples import PictureExample
from trainer.data.strokes import rng_for

OFF = PictureAugment(Patches(share=0), Affine(share=0), Rules(share=0), Jitter(share=0))
ALONE = {
    "patches": replace(OFF, patches=Patches(share=1)),
    "affine": replace(OFF, affine=Affine(share=1)),
    "rules": replace(OFF, rules=Rules(share=1)),
    "jitter": replace(OFF, jitter=Jitter(share=1)),
    "camera": replace(OFF, camera=Camera(share=1)),
}
PICTURE = ImageOps.expand(draw("xTL"), border=60, fill="white")


def altered(augment: PictureAugment, seed: int = 0) -> np.ndarray:
    return alter(PICTURE, augment, rng_for(seed, 0, 0)).pixels


PLAIN = altered(OFF)


def test_without_transforms_only_the_margin_goes():
    inked = np.argwhere(np.asarray(PICTURE)[..., 0] < 128)
    (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0)
    around = np.argwhere(PLAIN[..., 0] < 128)
    assert (around.max(axis=0) - around.min(axis=0)).tolist() == [bottom - top, right - left]
    assert PLAIN.shape[0] < PICTURE.height and PLAIN.shape[1] < PICTURE.width


def test_a_camera_far_away_leaves_few_pixels_and_a_near_one_as_many_as_there_are():
    far = replace(OFF, camera=Camera(share=1, symbol_min=10, symbol_max=10, blur_max=0))
    near = replace(OFF, camera=Camera(share=1, symbol_min=500, symbol_max=500, quality_min=94))
    assert altered(far).shape[0] < 0.5 * PLAIN.shape[0]
    assert altered(near).shape == PLAIN.shape
    assert 0.5 < np.abs(altered(near).astype(float) - PLAIN).mean() < 12
    assert prepare(altered(far), 20).shape == pytest.approx(prepare(PLAIN, 20).shape, rel=0.2)


@pytest.mark.parametrize("name", ALONE)
def test_the_same_numbers_give_the_same_picture(name):
    assert np.array_equal(altered(ALONE[name]), altered(ALONE[name]))
    drawn = [altered(ALONE[name], seed) for seed in range(4)]
    assert not all(np.array_equal(drawn[0], other) for other in drawn[1:])


@pytest.mark.parametrize("seed", range(4))
def test_turning_one_transform_off_leaves_the_others_as_they_were(seed):
    both = replace(OFF, patches=Patches(share=1), jitter=Jitter(share=1))
    with_rules = replace(both, rules=Rules(share=1))
    rules_off = replace(with_rules, rules=Rules(share=0))
    assert np.array_equal(altered(rules_off, seed), altered(both, seed))
    assert not np.array_equal(altered(with_rules, seed), altered(both, seed))


@pytest.mark.parametrize("seed", range(4))
def test_rules_darken_paper_from_side_to_side_and_leave_the_ink(seed):
    ruled = altered(replace(OFF, rules=Rules(share=1, tilt_deg=0, squared=0)), seed)
    assert (ruled <= PLAIN).all()
    is_dark = ruled.min(axis=2) < 250
    assert is_dark.all(axis=1).any()
    assert (ruled[PLAIN.max(axis=2) == 0] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_patches_take_ink_away_and_not_all_of_it(seed):
    rubbed = altered(ALONE["patches"], seed)
    assert (rubbed >= PLAIN).all()
    left = (rubbed[..., 0] < 128).sum() / (PLAIN[..., 0] < 128).sum()
    assert 0.5 < left < 1


@pytest.mark.parametrize("seed", range(4))
def test_affine_pictures_keep_all_their_ink_on_paper(seed):
    moved = altered(ALONE["affine"], seed)
    rim = np.concatenate([moved[0], moved[-1], moved[:, 0], moved[:, -1]])
    assert rim.min() > 200
    ink, before = (255.0 - picture[..., 0] for picture in (moved, PLAIN))
    assert 0.6**2 < ink.sum() / before.sum() < 1.2**2
    assert moved.shape[0] >= PLAIN.shape[0] and moved.shape[1] >= PLAIN.shape[1]


def test_jitter_changes_colours_within_its_strength():
    grey = np.full((20, 20, 3), 100, np.uint8)
    only = replace(OFF, jitter=Jitter(share=1, contrast=0, saturation=0, hue=0))
    found = {
        int(alter(Image.fromarray(grey), only, rng_for(s, 0, 0)).pixels[0, 0, 0]) for s in range(20)
    }
    assert min(found) >= 80 and max(found) <= 120 and len(found) > 5


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Affine(share=1.5), id="share above 1"),
        pytest.param(lambda: Affine(scale_min=0), id="scale 0"),
        pytest.param(lambda: Rules(gap_min=3, gap_max=2), id="gaps in the wrong order"),
        pytest.param(lambda: Rules(darkness_max=2), id="darker than black"),
        pytest.param(lambda: Patches(most=0), id="no patches"),
        pytest.param(lambda: Jitter(hue=-0.1), id="less than no hue"),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError):
        make()


# --- For our own recogniser --------------------------------------------------------------------


def test_a_picture_that_was_not_altered_is_the_one_that_users_get():
    standard = alter(PICTURE, OFF, rng_for(0, 0, 0)).standard(20)
    wanted = prepare(PICTURE, 20)
    assert np.abs(np.subtract(standard.shape, wanted.shape)).max() <= 2


@pytest.mark.parametrize("seed", range(6))
def test_lines_among_the_symbols_do_not_make_these_tiny(seed):
    squared = replace(OFF, rules=Rules(share=1, squared=1, darkness_min=0.7))
    found = alter(PICTURE, squared, rng_for(seed, 0, 0))
    plain = prepare(PICTURE, 20)
    wanted = np.array(found.pixels.shape[:2]) * 20 / symbol_size(255 - PLAIN[..., 0])
    assert (np.array(found.standard(20).shape) >= 0.6 * np.array(plain.shape)).all()
    assert (np.array(found.standard(20).shape) <= 1.6 * wanted + 10).all()


def test_blank_paper_stays_blank():
    found = alter(Image.new("RGB", (60, 40), "white"), PictureAugment(), rng_for(1, 0, 0))
    assert found.pixels.shape[2] == 3
    with pytest.raises(ImageError):
        alter(Image.new("RGB", (60, 40), "white"), OFF, rng_for(0, 0, 0)).standard(20)


def test_training_pictures_repeat_by_epoch_and_are_read_if_all_ink_is_gone():
    examples = [PictureExample("a.png", "x", png("x")), PictureExample("b.png", "xT", png("xT"))]
    vocabulary = build_tokenizer().get_vocab()

    def drawn(epoch: int, augment: PictureAugment | None) -> np.ndarray:
        dataset = DrawnExamples(
            examples, [[1, 2]] * 2, vocabulary, 20, None, seed=0, pictures=augment
        )
        return dataset[Draw(epoch, 0, 1.0)].sample.pixels

    every = PictureAugment(rules=Rules(share=1))
    assert np.array_equal(drawn(0, every), drawn(0, every))
    assert not np.array_equal(drawn(0, every), drawn(1, every))
    rubbed_out = replace(OFF, patches=Patches(share=1, side_min=50, side_max=60))
    assert np.array_equal(drawn(0, rubbed_out), drawn(0, None))
