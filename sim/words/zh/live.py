"""Texts of the live page's server: its people, what the buttons do, and its story."""

LIVE = {
    "somebody at the keypad": "有人在键盘前",
    # The people.
    "driving licence": "驾驶证",
    "resident e-ID": "居民电子身份证",
    # What the buttons do.
    "somebody holds a phone to the reader": "有人把手机靠近读卡器",
    "somebody types a PIN": "有人输入 PIN 码",
    "somebody without a stay holds a phone to the reader": "没有预订的人把手机靠近读卡器",
    "a guest shows a document that was altered": "住客出示被改动过的证件",
    "a phone is taken away in the middle": "手机中途被拿走",
    "a sticker is put on the reader": "读卡器上贴了标签",
    "the sticker is taken off the reader": "读卡器上的标签被揭下",
    "the network fails": "网络中断",
    "the network comes back": "网络恢复",
    "the power of the lock is cut, and comes back": "门锁断电，然后恢复供电",
    "the door is opened by hand": "门被推开",
    "the door is shut by hand": "门被关上",
    "a story plays": "正在演示",
    # The tour.
    "A check-in, two who are not let in, and an outage that heals, at two doors of one listing.": (
        "一次入住登记、两个进不了门的人、一次会恢复的断网，发生在同一房源的两扇门前。"
    ),
}
