"""Published results, for comparison with reproduced ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Published scores of one cell.

    Args:
        mse: Mean squared error of pixels in [0, 1]; lower means closer.
        psnr: Peak signal-to-noise ratio in dB, mean over images; higher means closer.
        lpips: Learned perceptual distance; lower means closer. The paper uses another network and other inputs, so its
            values are not comparable with ours.
    """

    mse: float
    psnr: float
    lpips: float


TABLE_1 = {
    ("cifar10", "convnet", "sample", "retrain"): Published(0.0211, 17.19, 0.3261),
    ("cifar10", "convnet", "sample", "ascent"): Published(0.0218, 17.09, 0.3624),
    ("cifar10", "convnet", "class", "retrain"): Published(0.0259, 16.08, 0.3531),
    ("cifar10", "convnet", "class", "ascent"): Published(0.0234, 16.51, 0.3316),
    ("cifar10", "convnet", "client", "retrain"): Published(0.0206, 17.32, 0.3747),
    ("cifar10", "convnet", "client", "ascent"): Published(0.0223, 16.78, 0.3558),
    ("cifar100", "convnet", "sample", "retrain"): Published(0.0364, 14.97, 0.4383),
    ("cifar100", "convnet", "sample", "ascent"): Published(0.0261, 16.07, 0.4190),
    ("cifar100", "convnet", "class", "retrain"): Published(0.0397, 14.41, 0.4451),
    ("cifar100", "convnet", "class", "ascent"): Published(0.0298, 15.73, 0.4201),
    ("cifar100", "convnet", "client", "retrain"): Published(0.0382, 14.65, 0.4361),
    ("cifar100", "convnet", "client", "ascent"): Published(0.0265, 16.07, 0.4223),
    ("cifar10", "resnet20", "sample", "retrain"): Published(0.0445, 14.05, 0.4607),
    ("cifar10", "resnet20", "sample", "ascent"): Published(0.0564, 13.02, 0.4719),
    ("cifar10", "resnet20", "class", "retrain"): Published(0.0535, 13.01, 0.4608),
    ("cifar10", "resnet20", "class", "ascent"): Published(0.0512, 13.21, 0.4366),
    ("cifar10", "resnet20", "client", "retrain"): Published(0.0435, 14.12, 0.4617),
    ("cifar10", "resnet20", "client", "ascent"): Published(0.0533, 13.08, 0.4983),
    ("cifar100", "resnet20", "sample", "retrain"): Published(0.0391, 14.56, 0.4267),
    ("cifar100", "resnet20", "sample", "ascent"): Published(0.0353, 15.02, 0.4025),
    ("cifar100", "resnet20", "class", "retrain"): Published(0.0474, 13.49, 0.4060),
    ("cifar100", "resnet20", "class", "ascent"): Published(0.0438, 13.84, 0.4032),
    ("cifar100", "resnet20", "client", "retrain"): Published(0.0422, 14.27, 0.4187),
    ("cifar100", "resnet20", "client", "ascent"): Published(0.0362, 14.73, 0.3627),
}
"""IGF, Table 1, by data set, model, scenario and method. Its GIAMU row is left out, because it was copied from the
centralized setting of the GIAMU paper (32 samples) and is not comparable."""

TABLE_2 = {
    "prune-0.7": Published(0.0216, 17.0758, 0.3704),
    "prune-0.8": Published(0.0221, 17.0694, 0.3796),
    "prune-0.9": Published(0.0222, 17.0521, 0.3810),
    "sign": Published(0.0225, 16.9704, 0.3796),
    "gaussian": Published(0.0298, 15.7044, 0.4011),
    "perturb": Published(0.0197, 17.6116, 0.3663),
    "smooth": Published(0.0232, 16.8371, 0.3852),
}
"""IGF, Table 2, CIFAR-10, ConvNet, sample level, exact retraining."""

TABLE_4 = {
    "in-distribution": Published(0.0211, 17.1947, 0.3261),
    "out-of-distribution": Published(0.0259, 16.6364, 0.3324),
}
"""IGF, Table 4: auxiliary images from the same data set, and from CIFAR-100."""

TABLE_5 = {"none": 269_722, "hash": 134_861, "svd": 433}
"""IGF, Table 5: length of a ResNet20's gradient vector after each reduction."""
