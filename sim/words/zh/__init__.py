"""The texts in Simplified Chinese. The key of each text is the English text. The words are those of README.zh-CN.md."""

from sim.words.zh.demo import DEMO
from sim.words.zh.door import DOOR
from sim.words.zh.live import LIVE
from sim.words.zh.meanings import MEANINGS
from sim.words.zh.promises import PROMISES
from sim.words.zh.stories import STORIES

ZH: dict[str, str] = {**DEMO, **DOOR, **STORIES, **PROMISES, **LIVE, **MEANINGS}
