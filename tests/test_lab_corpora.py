"""Every layout of labelled speech gives the same clips."""

import pytest

from worker.emotion import CLASSES
from worker.errors import ConfigError
from worker.lab.corpora import NOT_SPEECH, UNLABELLED, emotion, read


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def only(clips):
    [clip] = clips
    return clip


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("ANG", "angry"),
        ("happiness", "happy"),
        ("Fear", "fearful"),
        ("disgust", "disgusted"),
        ("boredom", "bored"),
        ("surprise", "surprised"),
        ("noise:rain", NOT_SPEECH),
        ("nonspeech:coughing", NOT_SPEECH),
        ("unlabelled(read)", UNLABELLED),
        ("", UNLABELLED),
        ("frustrated", None),
    ],
)
def test_words_for_emotions(word, name):
    assert emotion(word) == name


def test_a_folder_with_votes(tmp_path):
    write(tmp_path / "mine/labels.csv", "path,speaker,gender,emotion,intensity\na.wav,x,F,angry,high\nb.wav,x,F,odd,\n")
    write(tmp_path / "mine/votes.csv", "modality,clip,A,D,F,H,N,S\nface,a,9,0,0,0,0,0\nvoice,a,4,0,1,0,5,0\n")
    clip = only(read(f"folder:{tmp_path}/mine"))
    assert (clip.corpus, clip.speaker, clip.gender, clip.emotion) == ("mine", "x", "F", "angry")
    assert dict(zip(CLASSES, clip.votes, strict=True))["neutral"] == 5
    assert clip.slices == {"intensity": "high"}


def test_noise_without_a_speaker_stands_for_itself(tmp_path):
    write(tmp_path / "labels.csv", "path,speaker,emotion\n1-77-A.wav,,noise:rain\n1-77-B.wav,,noise:rain\n")
    write(tmp_path / "more/labels.csv", "path,speaker,emotion\nhiss.wav,,noise:hiss\n")
    one, two = read(f"folder:{tmp_path}")
    assert one.speaker == two.speaker  # two takes of one recording
    assert only(read(f"folder:{tmp_path}/more")).speaker == "more:hiss"
    assert (one.emotion, two.emotion) == (NOT_SPEECH, NOT_SPEECH)


def test_a_table_of_ones_own(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "mine.csv", "path,speaker,emotion,room\na.wav,ann,happy,kitchen\n")
    clip = only(read(f"csv:{tmp_path}/mine.csv"))
    assert (clip.corpus, clip.path, dict(clip.slices)) == ("mine", tmp_path / "a.wav", {"room": "kitchen"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,speaker\na.wav,ann\n", "has no column emotion"),
        ("path,speaker,emotion\na.wav,ann,wistful\n", "line 2: emotion 'wistful'"),
        ("path,speaker,emotion\nb.wav,ann,sad\n", "b.wav does not exist"),
        ("path,speaker,emotion\n", "nothing in"),
    ],
)
def test_a_faulty_table_is_named(tmp_path, text, sentence):
    write(tmp_path / "a.wav")
    write(tmp_path / "mine.csv", text)
    with pytest.raises(ConfigError, match=sentence):
        read(f"csv:{tmp_path}/mine.csv")


def test_a_table_that_is_no_text(tmp_path):
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot be read as CSV"):
        read(f"csv:{tmp_path}/mine.csv")


@pytest.mark.parametrize("spec", ["crema_d", "nothing:here", "csv:/does/not/exist.csv", "folder:."])
def test_a_corpus_that_is_not_there(spec):
    with pytest.raises(ConfigError):
        read(spec)


def test_crema_d(tmp_path):
    write(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav")
    write(tmp_path / "VideoDemographics.csv", "ActorID,Age,Sex\n1001,51,Male\n")
    head, name = '"","A","D","F","H","N","S","fileName"\n', "1001_DFA_ANG_XX\n"
    counts = f"{head}100001,6,0,0,0,3,0,{name}200001,0,0,0,9,0,0,{name}"
    write(tmp_path / "processedResults/tabulatedVotes.csv", counts)
    clip = only(read(f"crema_d:{tmp_path}"))
    assert (clip.speaker, clip.emotion, clip.gender, clip.text) == ("crema_1001", "angry", "M", "DFA")
    assert clip.votes == (3, 0, 0, 6, 0, 0)


def test_ravdess_without_song(tmp_path):
    write(tmp_path / "Actor_12/03-01-06-01-02-01-12.wav")
    write(tmp_path / "Actor_12/03-02-06-01-02-01-12.wav")
    clip = only(read(f"ravdess:{tmp_path}"))
    assert (clip.speaker, clip.emotion, clip.gender) == ("ravdess_12", "fearful", "F")


def test_iemocap(tmp_path):
    sheet = (
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\texc\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tExcited;\t()\nC-E3:\tNeutral; Anger;\t()\nA-E3:\tval 3; act 2;\t()\n\n"
        "[10.0 - 11.3]\tSes01F_impro01_M001\txxx\t[2.5, 3.0, 2.5]\nC-E2:\tSadness;\t()\n"
    )
    write(tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", sheet)
    for turn in ("F000", "M001"):
        write(tmp_path / f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{turn}.wav")
    clip = only(read(f"iemocap:{tmp_path}"))
    assert (clip.speaker, clip.emotion, clip.slices) == ("iemocap_01F", "happy", {"manner": "improvised"})
    assert clip.votes == (1, 1, 0, 1, 0, 0)


def test_meld(tmp_path):
    write(tmp_path / "dev_splits_complete/dia0_utt1.mp4")
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
    write(tmp_path / "dev_sent_emo.csv", head + "1,Oh,Phoebe,joy,positive,0,1\n2,No,Ross,anger,negative,0,2\n")
    clip = only(read(f"meld:{tmp_path}"))
    assert (clip.speaker, clip.emotion, clip.slices) == ("meld_phoebe", "happy", {"part": "dev"})


def test_msp_podcast_without_unknown_speakers(tmp_path):
    head = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
    lines = "a.wav,D,3,3,3,12,Female,Train\nb.wav,A,3,3,3,Unknown,Male,Train\nc.wav,X,3,3,3,9,Male,Train\n"
    write(tmp_path / "Labels/labels_consensus.csv", head + lines)
    for name in "abc":
        write(tmp_path / f"Audios/{name}.wav")
    clip = only(read(f"msp_podcast:{tmp_path}"))
    assert (clip.speaker, clip.emotion, clip.gender) == ("msp_12", "disgusted", "F")
