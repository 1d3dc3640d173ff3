"""Well-known corpora in the layouts that their makers hand out."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from worker.emotion import CLASSES
from worker.lab.corpora import Clip, emotion, rows

LETTERS = [name[0].upper() for name in CLASSES]


def crema_d(root: Path) -> Iterator[Clip]:
    """AudioWAV/1001_DFA_ANG_XX.wav, VideoDemographics.csv and processedResults/tabulatedVotes.csv (Cao et al. 2014).

    Of the votes only those on the voice alone count: in that table their row numbers begin with 1.
    """
    people, counts = root / "VideoDemographics.csv", root / "processedResults" / "tabulatedVotes.csv"
    sex = {row["ActorID"]: row["Sex"][:1] for row in rows(people, {"ActorID", "Sex"})} if people.is_file() else {}
    heard = rows(counts, {"fileName", *LETTERS}) if counts.is_file() else iter(())
    votes = {row["fileName"]: tuple(int(row[x]) for x in LETTERS) for row in heard if row.get("", "")[:1] == "1"}
    for path in root.glob("AudioWAV/*.wav"):
        actor, sentence, code, intensity = path.stem.split("_")
        if name := emotion(code):
            clip = Clip(path, f"crema_{actor}", name, "crema_d", votes.get(path.stem), sex.get(actor, ""), "en")
            yield replace(clip, licence="ODbL 1.0 and DbCL 1.0", text=sentence, slices={"intensity": intensity})


def ravdess(root: Path) -> Iterator[Clip]:
    """Actor_01/03-01-06-01-02-01-12.wav (Livingstone and Russo 2018); sound only, and speech, not song."""
    names = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
    for path in root.glob("Actor_*/03-01-*.wav"):
        _, _, code, intensity, sentence, _, actor = path.stem.split("-")
        sex = "M" if int(actor) % 2 else "F"
        clip = Clip(path, f"ravdess_{actor}", names[int(code) - 1], "ravdess", None, sex, "en", "CC BY-NC-SA 4.0")
        yield replace(clip, text=sentence, slices={"intensity": {"01": "normal", "02": "strong"}[intensity]})


def iemocap(root: Path) -> Iterator[Clip]:
    """Session1/dialog/EmoEvaluation/*.txt and Session1/sentences/wav/ (Busso et al. 2008); excited counts as happy.

    Votes are those of the three or more annotators, who saw the picture too.
    """
    line = re.compile(r"^\[[\d. -]+\]\t(Ses\d\d[FM]_\w+)\t(\w+)\t", re.MULTILINE)
    vote = re.compile(r"^C-[EFM]\d*:\t([^(]*)", re.MULTILINE)
    for sheet in root.glob("Session*/dialog/EmoEvaluation/*.txt"):
        text = sheet.read_text(encoding="utf-8", errors="replace")
        heads = list(line.finditer(text))
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            turn, code = head.groups()
            name = "happy" if code == "exc" else emotion(code)
            path = sheet.parents[2] / "sentences" / "wav" / turn.rsplit("_", 1)[0] / f"{turn}.wav"
            if name is None or not path.is_file():
                continue
            block = text[head.end() : following.start() if following else None]
            said = [w.strip().lower() for found in vote.findall(block) for w in found.split(";") if w.strip()]
            heard = ["happy" if word == "excited" else emotion(word) for word in said]
            votes = tuple(heard.count(each) for each in CLASSES)
            sex = turn.rsplit("_", 1)[1][0]
            manner = "improvised" if "impro" in turn else "scripted"
            clip = Clip(path, f"iemocap_{turn[3:5]}{sex}", name, "iemocap", votes if any(votes) else None, sex, "en")
            yield replace(clip, licence="IEMOCAP licence", slices={"manner": manner})


def meld(root: Path) -> Iterator[Clip]:
    """train_sent_emo.csv beside train_splits/dia0_utt0.mp4, and so on (Poria et al. 2019)."""
    folders = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    for part, folder in folders.items():
        sheet = root / f"{part}_sent_emo.csv"
        if not sheet.is_file():
            continue
        for row in rows(sheet, {"Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"}):
            path = root / folder / f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4"
            if (name := emotion(row["Emotion"])) and path.is_file():
                who = f"meld_{row['Speaker'].strip().lower()}"
                yield Clip(path, who, name, "meld", None, "", "en", "GPL-3.0", slices={"part": part})


def msp_podcast(root: Path) -> Iterator[Clip]:
    """Labels/labels_consensus.csv and Audios/ (Lotfian and Busso 2019); clips of unknown speakers are left out."""
    names = dict(zip("NHSAFDU", (*CLASSES, "surprised"), strict=True))
    for row in rows(root / "Labels" / "labels_consensus.csv", {"FileName", "EmoClass", "SpkrID"}):
        path, name = root / "Audios" / row["FileName"], names.get(row["EmoClass"])
        if name and row["SpkrID"].strip().lower() not in ("", "unknown") and path.is_file():
            clip = Clip(path, f"msp_{row['SpkrID']}", name, "msp_podcast", None, row.get("Gender", "")[:1], "en")
            yield replace(clip, licence="MSP-Podcast licence", slices={"part": row.get("Split_Set", "")})
