"""Training: the validation error falls, a resumed run has the bits of an uninterrupted one, schedules."""

import pytest
import torch

from core.made_images import lattice, made
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.initializer import InitializerConfig
from MetaAffineRegTrainingLib.appearance import Disturbances
from MetaAffineRegTrainingLib.deformations import DeformationDistribution
from MetaAffineRegTrainingLib.made_images import made_images
from MetaAffineRegTrainingLib.pairs import PairMaker
from MetaAffineRegTrainingLib.sources import source_stack
from MetaAffineRegTrainingLib.trainer import Trainer, TrainingConfig

NETWORK = InitializerConfig(2, (16,), 2, gradient_input="direction")


@pytest.fixture(scope="module")
def makers():
    geometry = lattice((60, 60, 1), (1.7, 1.7, 1))
    distribution = DeformationDistribution(30, 0.3)
    stacks = [source_stack([made(geometry, seed=seed) for seed in seeds], 32) for seeds in (range(4), (8, 9))]
    return [[PairMaker(stack, (16,), distribution)] for stack in stacks]


def trainer(makers, network=NETWORK, **options):
    return Trainer(network, TrainingConfig(**{"steps": 6, "batch": 8, **options}), *makers)


def trained(made_trainer, save_every=1000, save_state=lambda: None):
    figures, length = [], made_trainer.config.steps
    for loss in made_trainer.steps():
        if made_trainer.step % save_every == 0 or made_trainer.step == length:
            figures.append({"step": made_trainer.step, "loss": loss, **made_trainer.validate()})
            save_state()
    return figures


def weights(made_trainer):
    return made_trainer.network.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("schedule", ["joint", "successive"])
def test_short_training_lowers_the_error_on_images_not_trained_on(makers, schedule):
    learner = trainer(makers, steps=80, batch=32, learning_rate=0.01, schedule=schedule)
    before = learner.validate()["validation_mse4_median"]
    (figures,) = trained(learner)
    assert figures["step"] == 80
    assert figures["validation_mse4_median"] < 0.5 * before


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("data_term", ["mean_squares", "unexplained_content", "content_and_gradients"])
def test_network_learns_from_each_data_term(d, data_term):
    """A few steps on images made by code, in the plane and in space: the error falls, every weight stays finite."""
    sources = made_images(6, d, 32 if d == 2 else 16, 0)
    disturbances = Disturbances(0.02, noise_on_moving=0.5, crop=0.2)
    network = InitializerConfig(d, (8,), 2, gradient_input="direction", data_term=data_term)
    makers = [PairMaker(sources, (8,), DeformationDistribution(25, 0.2, 0.0, 0.1), disturbances, term) for term in network.data_terms]
    learner = trainer([makers, makers], network, steps=30, batch=16, learning_rate=0.02, schedule="joint")
    before = learner.validate()["validation_mse4_median"]
    (figures,) = trained(learner)
    assert figures["validation_mse4_median"] < 0.9 * before
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(learner).values())


@pytest.mark.parametrize("loss", ["mse", "rms"])
def test_resumed_run_has_the_bits_of_an_uninterrupted_one(makers, tmp_path, loss):
    whole = trainer(makers, loss=loss)
    trained(whole)
    interrupted = trainer(makers, loss=loss)

    def save_and_stop():
        interrupted.save(tmp_path / "state.pt", {}, resumable=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(interrupted, 3, save_and_stop)
    assert interrupted.step == 3 and not same(weights(interrupted), weights(whole))
    resumed = trainer(makers, loss=loss)
    resumed.resume(tmp_path / "state.pt")
    assert resumed.step == 3
    trained(resumed)
    assert same(weights(resumed), weights(whole))


def test_seed_decides_everything(makers):
    runs = [trainer(makers, seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        torch.rand(3)  # the global generator has no say
        trained(run)
    assert same(weights(runs[0]), weights(runs[1])) and not same(weights(runs[0]), weights(runs[2]))


def test_state_of_another_training_is_refused(makers, tmp_path):
    learner = trainer(makers)
    learner.save(tmp_path / "state.pt", {}, resumable=True)
    learner.save(tmp_path / "model.pt", {}, resumable=False)
    for other in (trainer(makers, steps=7), trainer(makers, InitializerConfig(2, (16,), 3))):
        with pytest.raises(InputError, match="belongs to a training with other settings"):
            other.resume(tmp_path / "state.pt")
    with pytest.raises(InputError, match="holds no training state; resume from the .resume.pt file"):
        learner.resume(tmp_path / "model.pt")


def test_successive_schedule_adds_step_after_step_and_joint_has_all():
    successive = TrainingConfig(steps=100, schedule="successive")
    counts = [successive.active_iterates(step / 100, 5) for step in range(100)]
    assert counts[0] == 1 and counts[50:] == [5] * 50 and counts == sorted(counts) and set(counts) == {1, 2, 3, 4, 5}
    assert TrainingConfig(steps=100, schedule="joint").active_iterates(0, 5) == 5


def test_rate_rises_and_falls_to_nothing():
    config = TrainingConfig(steps=1000, learning_rate=0.01)
    rates = [config.rate(step, step / 1000) for step in range(1000)]
    assert rates[0] < 0.001 and max(rates) == pytest.approx(0.01, rel=0.02) and rates[-1] < 1e-6
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)


def test_states_are_saved_on_the_way_and_at_the_end(makers):
    learner, steps = trainer(makers, steps=7), []
    figures = trained(learner, 3, lambda: steps.append(learner.step))
    assert steps == [3, 6, 7] and [line["step"] for line in figures] == [3, 6, 7]
