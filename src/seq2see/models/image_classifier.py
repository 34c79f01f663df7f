"""One to one: a picture to a class.

B pictures · C colour channels · H height · W width · S places · D width · V classes · I, J rows and columns of places.
"""

import torch
from torch import Tensor, nn

from seq2see.config.images import ImageClassifierSettings
from seq2see.models.image_encoder import PictureScale
from seq2see.nn.convolution import Convolution, ResidualNetwork, places
from seq2see.nn.dropout import Dropout
from seq2see.nn.embedding import OutputLayer, token_weights


class ImageClassifier(nn.Module):
    """A residual network, features of every place, their mean, a linear layer over the classes.

    Because nothing but a mean and a linear layer stands between the places and a class, each place's part in the
    class's score can be told exactly: the class activation map (Zhou et al. 2016, equation 2). Grad-CAM (Selvaraju
    et al. 2017, equations 1 and 2) gives the same map for such a network (their section 3.1).
    """

    def __init__(self, settings: ImageClassifierSettings, classes: int) -> None:
        super().__init__()
        picture, encoder = settings.picture, settings.encoder
        self.rows, self.columns = places(picture.height, picture.width, encoder.strides)
        self.scale = PictureScale(picture.channels)
        self.network = ResidualNetwork(picture.channels, encoder.channels, encoder.strides, encoder.blocks)
        self.project = Convolution(self.network.outputs, encoder.width, 1)
        self.dropout = Dropout(settings.dropout)
        self.output = OutputLayer(token_weights(classes, encoder.width))

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """What the output layer makes logits of, ``[B, D]``, from uint8; the loss applies that layer itself."""
        hidden_BD: Tensor = self.dropout(self.features(pictures_BCHW).mean(1))
        return hidden_BD

    def features(self, pictures_BCHW: Tensor) -> Tensor:
        """``[B, S, D]``: the features of every place, row by row, none below zero."""
        map_BDIJ = torch.relu(self.project(self.network(self.scale(pictures_BCHW))))
        return map_BDIJ.flatten(2).transpose(1, 2)

    def shares(self, pictures_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[B, V]``, and what each place adds to each of them ``[B, V, S]``: with the bias they sum to it."""
        features_BSD = self.features(pictures_BCHW)
        shares_BVS = torch.einsum("bsd,vd->bvs", features_BSD, self.output.weight_VD) / features_BSD.shape[1]
        return shares_BVS.sum(2) + self.output.bias_V, shares_BVS
