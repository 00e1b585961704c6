"""Vectors of tokens that lie together, and what they are given."""

import pytest
import torch

from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.tiny import tiny_model
from trainer import spread as command
from trainer.adapter import VOCABULARY_RANK, vocabulary_of
from trainer.spread import NEAR, nearest_cosines, spread

WIDTH = 128


@pytest.fixture
def vectors() -> torch.Tensor:
    """Twenty that go their own ways, and a hundred that lie together."""
    torch.manual_seed(0)
    common = torch.randn(WIDTH)
    return torch.cat([torch.randn(20, WIDTH), common + 0.05 * torch.randn(100, WIDTH)])


def test_vectors_that_lay_together_can_be_told_apart_and_others_stay(vectors):
    assert (nearest_cosines(vectors)[20:] > NEAR).all()
    found = spread(vectors, size=8.0)
    assert torch.equal(found[:20], vectors[:20])
    assert (nearest_cosines(found)[20:] < NEAR).all()
    assert (found - vectors)[20:].norm(dim=1).tolist() == pytest.approx([8.0] * 100, rel=1e-4)


def test_what_is_added_fits_into_an_adapter(vectors):
    change = spread(vectors) - vectors
    assert int(torch.linalg.matrix_rank(change, atol=1e-4)) == VOCABULARY_RANK


def test_the_same_weights_are_spread_in_the_same_way(vectors):
    assert torch.equal(spread(vectors), spread(vectors))
    assert not torch.equal(spread(vectors), spread(vectors, seed=1))


def test_only_the_vectors_of_weights_change(tmp_path, capsys):
    model = tiny_model(seed=1)
    with torch.no_grad():
        vocabulary_of(model)[50:] = 0.1 * torch.ones(32)
    Recognizer(model, build_tokenizer(), "cpu").save_pretrained(tmp_path / "before")
    command.main([str(tmp_path / "before"), "--out", str(tmp_path / "after")])
    n_tokens = len(build_tokenizer())
    assert capsys.readouterr().out == f"{n_tokens - 50} of {n_tokens} vectors lay together\n"
    before, after = (
        Recognizer.from_pretrained(tmp_path / name, "cpu").model for name in ("before", "after")
    )
    assert nearest_cosines(vocabulary_of(after).detach()).max() < NEAR
    changed = [
        name
        for (name, value), other in zip(
            before.state_dict().items(), after.state_dict().values(), strict=True
        )
        if not torch.allclose(value, other, rtol=2e-3, atol=1e-3)
    ]
    assert [name.rpartition(".")[0].rpartition(".")[2] for name in changed] == [
        "embed_tokens",
        "output_projection",
    ]
