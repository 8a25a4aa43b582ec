"""The recipe of DINO (Caron et al. 2021)."""

from reprise.params.base import Channels, Count, Rate, Share
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """DINO.

    prototypes: outputs of the head's last layer. base_tau: of the teacher, at the start.
    teacher_temperature_start rises to teacher_temperature in teacher_warmup epochs.
    """

    proj_hidden_dim: Channels = 2048
    proj_output_dim: Channels = 256
    prototypes: Channels = 65536
    base_tau: Share = 0.996
    student_temperature: Rate = 0.1
    teacher_temperature_start: Rate = 0.04
    teacher_temperature: Rate = 0.04
    teacher_warmup: Count = 0
