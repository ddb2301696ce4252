"""What a report says about a method: its name as papers write it, and what the pictures of its inputs show."""

from typing import NamedTuple

TWO = "Each column has one image and its random views, which are positives; other columns are other images"
PAIR = f"{TWO}, and negatives."
ALIKE = f"{TWO}, which are not compared: nothing repels."
CROPS = (
    "Each column has one image: large crops with most of it, and small crops of its parts in low resolution. The "
    "student sees "
    "all of them, the teacher the large ones, and every crop of the student predicts the teacher's output for another."
)
MASKED = f"{CROPS} Of masked crops, the student also predicts the patches that are grey."
CLUSTERED = f"{TWO}. Both predict the cluster of their image."
TILES = (
    "the nine tiles that are cut from it, with gaps and jitter and standardised one by one, so that neither "
    "edges nor brightness "
    "reveal where a tile was."
)
MASKED_SHARE = (
    "There is no line at chance: the loss of the patches is multiplied by the share of crops that are masked, which changes "
    "from batch to batch."
)
LABELLED = "; labels decide what is learned, so that these features are an upper bound."


class Caption(NamedTuple):
    """What a report says about a method.

    name: as in papers.
    see: what the pictures of its inputs show, in sentences.
    heading: of these pictures.
    rows: names of the views of an image, as many as it has; "View 1" and so on where empty.
    tiles: whether the nine views of an image are its tiles, in three rows.
    labels: whether training uses labels.
    no_chance: why the loss has no line at its chance level, where that is not plain; a sentence.
    clips: whether examples are clips.
    """

    name: str
    see: str = f"{TWO}."
    heading: str = "Augmented views"
    rows: tuple[str, ...] = ()
    tiles: bool = False
    labels: bool = False
    clips: bool = False
    no_chance: str = ""

    def words(self, text: str) -> str:
        """A text about images: about clips, where the method learns from clips."""
        return text.replace("image", "clip").replace("Image", "Clip") if self.clips else text


CAPTIONS = {
    "avc": Caption(
        "Audio-Visual Correspondence",
        "Each clip with one random frame, the view, and its sound, whose frequencies rise from bottom to top. The network "
        "decides whether a frame and a sound are of the same clip.",
        "Clips: frames and sound",
        clips=True,
    ),
    "avid": Caption(
        "AVID",
        "Each clip, its frames as the network sees them, and its sound, whose frequencies rise from bottom to top. Video and "
        "sound of a clip are positives; other clips in the bank are negatives.",
        "Clips: frames and sound",
        clips=True,
    ),
    "barlow_twins": Caption(
        "Barlow Twins",
        f"{TWO}. Over all images, each dimension of the embedding should agree in both views, and with no other dimension.",
    ),
    "byol": Caption("BYOL", f"{ALIKE} The student's view predicts the teacher's embedding of the other view."),
    "clusterfit": Caption(
        "ClusterFit",
        "Each column has one image and its view, from which the network predicts the cluster of the image.",
        rows=("View",),
    ),
    "cma": Caption(
        "CMA",
        "Each clip, its frames as the network sees them, and its sound, whose frequencies rise from bottom to "
        "top. Positives of a "
        "clip are its own sound, and clips that are similar in both; other clips in the bank are negatives.",
        "Clips: frames and sound",
        clips=True,
        no_chance="There is no line at chance: once similar clips are mined, the loss within video and within sound is added, "
        "and chance is another value.",
    ),
    "colorization": Caption(
        "Colorization",
        "Each column has one image: the lightness of its view, which is all that the network sees of it, the colours that it "
        "predicts from it, and the true ones. Where several colours are plausible, the prediction is pale.",
        "Lightness and colours",
        rows=("Lightness",),
    ),
    "cpc": Caption(
        "CPC",
        "Each column has one image and its view, which the network sees in overlapping patches: from the rows "
        "above it predicts "
        "the patches below, among all patches of the batch.",
        rows=("View",),
    ),
    "dcl": Caption("DCL", PAIR),
    "deepcluster": Caption("DeepCluster-v2", CLUSTERED),
    "dino": Caption("DINO", CROPS, "Large and small crops"),
    "dinov2": Caption("DINOv2", MASKED, "Large and small crops, masked patches", no_chance=MASKED_SHARE),
    "frames": Caption(
        "SimCLR on frames",
        "Each clip and two of its frames, near in time, which are positives; frames of other clips are negatives.",
        "Frames of clips",
        clips=True,
    ),
    "ibot": Caption("iBOT", MASKED, "Large and small crops, masked patches", no_chance=MASKED_SHARE),
    "ijepa": Caption(
        "I-JEPA",
        "Each column has one image: its view, the patches of it that are the context, and blocks, the targets. "
        "From the context "
        "the network predicts the features of the blocks, not their pixels.",
        "Context and target blocks",
        rows=("View",),
    ),
    "inpainting": Caption(
        "Context Encoder",
        "Each column has one image: its view with holes in the mean colour, and the same with the pixels that the network "
        "predicts there.",
        "Holes and predictions",
        rows=("View with holes",),
    ),
    "jigsaw": Caption(
        "Jigsaw",
        f"Each column has one image and, in the order in which they are shown, {TILES} The network predicts the order.",
        "Shuffled tiles",
        rows=("Tiles, as shown",),
        tiles=True,
    ),
    "lejepa": Caption("LeJEPA", f"{ALIKE} Embeddings of all images together should be spread as a Gaussian is."),
    "mae": Caption(
        "MAE",
        "Each column has one image: its view, the patches that the encoder sees, and the view with the masked patches as the "
        "decoder predicts them. A blurred prediction is to be expected: it is the mean of what is plausible.",
        "Masked patches and reconstructions",
        rows=("View",),
    ),
    "moco": Caption(
        "MoCo",
        f"{TWO}. The first is the query, the second the key; keys of former batches, in the queue, are negatives.",
        rows=("Query", "Key"),
    ),
    "moco_v3": Caption("MoCo v3", PAIR),
    "nnclr": Caption(
        "NNCLR",
        "Each column has one image and its random views. The positive of a view is the image in the queue that "
        "is nearest to the "
        "other view; other columns are negatives.",
    ),
    "npid": Caption(
        "NPID",
        "Each column has one image and its view; its positive is the image's own entry in the memory bank, its "
        "negatives are the "
        "entries of other images.",
        rows=("View",),
    ),
    "pirl": Caption(
        "PIRL",
        "Each column has one image, its view, and the same image transformed: tiles in random order, or a rotation. Both are "
        "compared with the image's entry in the memory bank, and with the entries of other images.",
        "Images and their transformations",
        rows=("View",),
    ),
    "relative_position": Caption(
        "Relative Position",
        f"Each column has one image and {TILES} From the middle tile and another, the network predicts where the other "
        "one was.",
        "Tiles",
        rows=("Tiles",),
        tiles=True,
    ),
    "rotation": Caption(
        "RotNet",
        "Each column has one image and its view in four rotations. The network predicts the rotation of each; nothing is "
        "compared.",
        "Rotations",
        rows=("0°", "90°", "180°", "270°"),
    ),
    "sela": Caption("SeLa", CLUSTERED),
    "shuffle_and_learn": Caption(
        "Shuffle and Learn",
        "Each clip, and three of its frames, in the order of time or not. The network predicts whether they are in order.",
        "Frames in order, or not",
        clips=True,
    ),
    "simclr": Caption("SimCLR", PAIR),
    "simdino": Caption("SimDINO", CROPS, "Large and small crops"),
    "simsiam": Caption("SimSiam", f"{ALIKE} Each view predicts the embedding of the other."),
    "supcon": Caption(
        "SupCon",
        "Each column has one image and its random views. All views of images of one class are positives, those "
        "of other classes "
        f"negatives{LABELLED}",
        labels=True,
    ),
    "supervised": Caption(
        "supervised training",
        f"Each column has one image and its view, from which the network predicts the label{LABELLED}",
        rows=("View",),
        labels=True,
    ),
    "swav": Caption(
        "SwAV",
        "Each column has one image: large crops with most of it, and small crops of its parts in low resolution. "
        "The prototypes "
        "that are assigned to a large crop are predicted from the other crops.",
        "Large and small crops",
    ),
    "tracks": Caption(
        "SimCLR on tracks",
        "Each clip, and its moving object at two times, in windows that follow it: they are positives; objects "
        "of other clips are "
        "negatives.",
        "Objects along their tracks",
        clips=True,
    ),
    "vicreg": Caption(
        "VICReg",
        f"{ALIKE} Each dimension of the embedding should vary over the images, and not with another dimension.",
    ),
}


def caption_of(method: object) -> Caption:
    """That of a method by its name in run.json; of an unknown one, from outside the package, under that name.

    Of its views nothing is known but that they are random views of an image.
    """
    known = CAPTIONS.get(method) if isinstance(method, str) else None
    return known or Caption(
        str(method), "Each column has one image and its random views; other columns are other images."
    )


def name_of(method: object) -> str:
    """The name of a method as papers write it."""
    return caption_of(method).name
