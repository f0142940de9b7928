"""Texts of the live page's server: the people, the effects of the buttons, and the story."""

LIVE = {
    # The command.
    "building the site": "正在搭建模拟的房源",
    "The page is at {address}": "页面在 {address}",
    "Ctrl-C ends it.": "按 Ctrl-C 结束。",
    "somebody at the keypad": "有人在键盘前",
    "door {number}": "{number} 号门",
    # The people.
    "driving licence": "驾驶证",
    "resident e-ID": "居民电子身份证",
    # The timeline of a tap.
    "somebody types at the keypad": "有人在键盘上输入",
    "this phone was here before: it is asked for its stay key": "这部手机来过：请它出示入住钥匙",
    "proves that it has a stay key of this door": "证明持有这扇门的入住钥匙",
    "taken away before the end": "还没读完就被拿开",
    "waits for the phone over BLE": "等待手机经 BLE 连接",
    "the phone is connected over BLE": "手机已经 BLE 连接",
    "the door stays shut: {reason} ({code})": "门不开：{reason}（{code}）",
    "the door stays shut, because of a defect: {error}": "门不开，程序有缺陷：{error}",
    "the network is down: the record waits here, on disk": "网络中断：记录留在这里，已落盘",
    "the network is back": "网络恢复了",
    # What each party could read of a record.
    "hash of the previous record": "上一条记录的哈希值",
    "size in bytes": "字节数",
    "who it was": "是谁",
    "which document": "用哪种证件",
    "check-in or entry": "是入住登记还是再次进门",
    "{size:byte}": "{size} 字节",
    "the DeviceResponse, before it is encrypted": "加密之前的 DeviceResponse",
    "SessionData, as a recorder beside the door has it": "SessionData：在门边窃听录下的就是这些",
    "the DeviceResponse, until the tap is over": "DeviceResponse，只保留到这次刷手机结束",
    "sealed, for the province alone": "封装内容，只给省级平台",
    "the journal's partition: a frame of {size:byte}": "登记流水区：一帧，{size} 字节",
    "no document was shown at this tap": "这次没有出示证件",
    "not there yet": "还没有到这里",
    "the outbox of {edge}: it waits there": "边缘网关 {edge} 的发件箱：还在那里等待",
    "the outbox of {edge}, until the receipt came": "边缘网关 {edge} 的发件箱，收到回执后已删除",
    "whether the guest arrived": "住客是否已到",
    "its own bookings; this record is of none of them": "自己的预订；这条记录与它们无关",
    "its booking; the bytes are the grant that it signed": "自己的预订；下面的字节是它签名的入住授权",
    "the body of the record, opened with the province's key": "记录的内容，用省级平台的密钥解开",
    # What the buttons do.
    "somebody holds a phone to the reader": "有人把手机靠近读卡器",
    "somebody types a PIN": "有人输入 PIN 码",
    "somebody without a stay holds a phone to the reader": "没有预订的人把手机靠近读卡器",
    "a guest shows a document that was altered": "住客出示被改动过的证件",
    "a phone is taken away in the middle": "手机中途被拿走",
    "a sticker is put on the reader": "读卡器上贴了标签",
    "the sticker is taken off the reader": "读卡器上的标签被揭下",
    "the phone at the reader is taken away": "读卡器前的手机被拿走",
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
