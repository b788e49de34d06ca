import torch
import torch.nn.functional as F

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, predict, train
from palimpsest.metrics import relearn_time
from palimpsest.models import load_parameters
from palimpsest.unlearning import make_request, relearn_losses


def test_losses_equal_gradient_descent(data, lenet, config):
    """A batch of all forgotten samples makes a step full-batch gradient descent."""
    federation = Federation(data, lenet, config(rounds=1, batch_size=99, momentum=0.0), 1)
    request = make_request(UnlearningConfig(count=9), data, seed=1)
    original = train(federation)
    losses = relearn_losses(original.parameters, federation, request, steps=3)
    model = load_parameters(federation.network(), original.parameters)
    images, labels = data.train.images[request.rows], data.train.labels[request.rows]
    for expected in losses.tolist():
        loss = F.cross_entropy(model(images), labels)
        torch.testing.assert_close(loss.item(), expected, rtol=1e-3, atol=1e-5)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.sub_(federation.config.learning_rate * gradient)


def test_a_model_that_knew_the_samples_relearns_faster(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=8, local_epochs=3), 1)
    request = make_request(UnlearningConfig(scenario="class", classes=(1,)), data, seed=1)
    original = train(federation)
    fresh = dict(federation.network().state_dict())
    known, unknown = (
        relearn_losses(parameters, federation, request, steps=30)
        for parameters in (original.parameters, fresh)
    )
    model = load_parameters(federation.network(), original.parameters)
    forgotten = data.train.subset(request.rows)
    target = F.cross_entropy(predict(model, forgotten.images), forgotten.labels).item()
    result = relearn_time(known, unknown, target)
    assert result.unlearned == 0
    assert result.retrained > 0
