"""The methods of transfer: one file and one record each."""

from core.records import Registry
from core.transfer.methods.adversarial import ADVERSARIAL, ADVERSARIAL_OFF, ADVERSARIAL_STRONG
from core.transfer.methods.components import OWN_COMPONENTS, RANDOM_DIRECTIONS, SOURCE_COMPONENTS
from core.transfer.methods.deep_profile import DEEP_PROFILE, SAME_SIZE
from core.transfer.methods.drug_response import NUMBERS_TO_CLASSES
from core.transfer.methods.frozen import FROZEN
from core.transfer.methods.gene_networks import AUTOENCODER, CONVOLUTION, TRANSFORMER, TWO_HEADS
from core.transfer.methods.image_networks import IMAGES_FROZEN, IMAGES_SCRATCH
from core.transfer.methods.light_ensemble import LIGHT_ENSEMBLE
from core.transfer.methods.masked_genes import MASKED_GENES
from core.transfer.methods.matching import MATCHED
from core.transfer.methods.programs import PATHWAY_PROGRAMS, SET_MEANS
from core.transfer.methods.scratch import SCRATCH
from core.transfer.methods.self_training import SELF_TRAINING, SELF_TRAINING_TO_THE_END
from core.transfer.problem import TransferMethod

TRANSFER_METHODS: Registry[TransferMethod] = Registry(
    "transfer method",
    [
        SCRATCH,
        SELF_TRAINING,
        SELF_TRAINING_TO_THE_END,
        *FROZEN,
        ADVERSARIAL,
        ADVERSARIAL_OFF,
        ADVERSARIAL_STRONG,
        SOURCE_COMPONENTS,
        OWN_COMPONENTS,
        RANDOM_DIRECTIONS,
        DEEP_PROFILE,
        SAME_SIZE,
        PATHWAY_PROGRAMS,
        SET_MEANS,
        MASKED_GENES,
        MATCHED,
        NUMBERS_TO_CLASSES,
        CONVOLUTION,
        TRANSFORMER,
        AUTOENCODER,
        TWO_HEADS,
        LIGHT_ENSEMBLE,
        IMAGES_SCRATCH,
        *IMAGES_FROZEN,
    ],
)
