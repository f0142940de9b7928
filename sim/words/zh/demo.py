"""Texts of the demo: what it does, and the tables about a record."""

DEMO = {
    # Progress and the beginning of a command.
    "loading the parts": "正在加载各个部件",
    "it goes on": "继续进行",
    "{text}, {seconds:.0f} s": "{text}，{seconds:.0f} 秒",
    "one door, from a guest's tap to the province's receipt": "一扇门：从住客刷手机到省级平台的回执",
    "Real: firmware and interpreter, edge agent, MQTT, SQLite, littlefs, credential.": (
        "真实的：固件和解释器、边缘网关、MQTT、SQLite、littlefs、证件。"
    ),
    "In software: the board's chips, the radio waves, the phone, the province.": (
        "软件模拟的：电路板上的芯片、无线电波、手机、省级平台。"
    ),
    "Every person here is invented.": "人物均为虚构。",
    "starting the broker and the province": "启动消息服务器和省级平台",
    "putting the radio on the air": "接通模拟的无线信道",
    "installing the lock: it makes its keys, the province binds them to a listing": (
        "安装门锁：门锁生成密钥，省级平台把密钥绑定到房源"
    ),
    "booting the lock: it fetches placement, profile, trust list and the signed time over BLE": (
        "启动门锁：经 BLE 取得房源绑定、辖区规则、信任列表和带签名的时间"
    ),
    "lock on {interpreter}{heap}; edge agent is process {edge}": (
        "门锁运行在 {interpreter} 上{heap}；边缘网关是进程 {edge}"
    ),
    ", heap {heap}": "，堆内存 {heap}",
    # 1: the check-in.
    "{guest} checks in": "办理入住：{guest}",
    "the grant is on its way to the lock": "入住授权正在送往门锁",
    (
        "Booked: listing {listing} ({room}).\n"
        "The lock knows the guest only as a keyed hash, in a grant that the platform\n"
        "signed. In the phone: a driving licence, issued by pymdoccbor.\n"
    ): (
        "预订：房源 {listing}（{room}）。\n"
        "门锁手里只有预订平台签名的入住授权，其中用带密钥的哈希值指代住客。\n"
        "手机里有一本驾驶证，由 pymdoccbor 签发。\n"
    ),
    "the phone is at the reader": "手机已靠近读卡器",
    "the record is on its way to the province, and the receipt back": "记录正在送往省级平台，回执随后返回",
    "Tap to open door: {ms:.0f} ms here.": "从刷手机到开门：在这台机器上用了 {ms:.0f} 毫秒。",
    "Nothing before the strike waited for a network.": "电锁扣打开之前，没有任何一步等过网络。",
    "the same record, three times": "同一条记录，三处所见",
    "at the lock": "在门锁里",
    "(flash)": "（闪存）",
    "at the edge": "在边缘网关",
    "(outbox)": "（发件箱）",
    "at the\nprovince": "在省级平台",
    "lock id": "门锁编号",
    "counter": "序号",
    "previous": "上一条",
    "sealed": "封装内容",
    "… {size:byte}, hash-chained": "… 共 {size} 字节，与上一条用哈希值相连",
    "{size:byte} that only the province can open": "{size} 字节，只有省级平台能解开",
    "searching everything stored or sent for the guests' data": "正在所有存过、发过的数据里查找住客信息",
    "who could read what": "谁能读到什么",
    "party": "各方",
    "could read": "能读到",
    "could not read": "读不到",
    "everything: it is the guest's": "全部：证件是住客自己的",
    "lock, RAM": "门锁内存",
    "the elements asked for, for the length of the tap": "所请求的各项信息，只保留到这次刷手机结束",
    "the portrait: never asked for": "人像：从不请求",
    "lock, flash": "门锁闪存",
    "counter, hashes, grants, guests as keyed hashes": "序号、哈希值、入住授权、用带密钥的哈希值指代的住客",
    "name, birth date, document number": "姓名、出生日期、证件号码",
    "edge agent": "边缘网关",
    "lock id, counter, sizes, times of day": "门锁编号、序号、数据长度、时刻",
    "who, which document, check-in or entry": "是谁、用哪种证件、是入住登记还是再次进门",
    "broker": "消息服务器",
    "the same as the edge agent": "与边缘网关相同",
    "platform": "预订平台",
    "its own booking": "自己的预订",
    "that the guest arrived, and with which document": "住客是否已到、用了哪种证件",
    "the registration, complete": "完整的登记",
    "nothing more, and it cannot open the door": "别的都读不到，也不能开门",
    (
        "Searched for {forms:form} of guests' data:\n"
        "{flash} KiB of the lock's flash, {at_rest} KiB at the edge agent, {heard:byte} over MQTT,\n"
        "every log: {found}."
    ): (
        "查找了住客信息的 {forms} 种写法：\n"
        "门锁闪存 {flash} KiB、边缘网关 {at_rest} KiB、MQTT 消息 {heard} 字节，\n"
        "以及全部日志：{found}。"
    ),
    "found: {places}": "在这些地方找到了：{places}",
    "found none": "都没有找到",
    # 2: refusals.
    "Two who are not let in": "两个人被拒之门外",
    "somebody is at the reader": "有人在读卡器前",
    "the door shows its answer": "门锁正在给出信号",
    "A stranger with a real, valid document": "陌生人，证件真实有效",
    "no grant names this guest": "没有指代此人的入住授权",
    "A booked guest who altered the document": "已预订的住客，证件被改动过",
    "an element is not as signed": "有一项信息与签名不符",
    "{code}: {why}": "{code}：{why}",
    "the lock says": "门锁判定",
    "it shows": "门上信号",
    "which means": "意思是",
    "ask the host or the booking platform": "请询问房东或预订平台",
    "use another document": "请换一种证件",
    "look at the phone, and tap again": "请看手机，再刷一次",
    "the strike": "电锁扣",
    "moved": "动作了",
    "did not move": "没有动作",
    "Both were shown the same.": "两人得到的信号完全相同。",
    "Both saw the same {light}; its rhythm says what to do next, and not why.": (
        "两人看到的都是{light}；闪几下只说明接下来怎么办，不说明原因。"
    ),
    "The door showed something different to each.": "两人得到的信号不同。",
    # 3: an outage.
    "The network is down, and comes back": "网络中断，然后恢复",
    "the broker is killed": "正在强行停掉消息服务器",
    "The broker is killed. Two more guests arrive.": "消息服务器被强行停掉。又来了两位住客。",
    "{guest}: {result}": "{guest}：{result}",
    "by {document}, {kind}": "证件 {document}，{kind}",
    "the records are on their way to the edge agent": "记录正在送往边缘网关",
    "The edge agent's outbox holds {stored:sealed record}; the province still has {held}.": (
        "边缘网关的发件箱里有 {stored} 条已封装的记录；省级平台仍只有 {held} 条。"
    ),
    "the broker is back; the edge agent looks for it every few seconds": ("消息服务器已恢复；边缘网关每隔几秒尝试连接"),
    "The broker is back: {seconds:.1f} s later the province has all {records}, each receipted.": (
        "消息服务器恢复 {seconds:.1f} 秒后，省级平台收齐 {records} 条记录，每条都有回执。"
    ),
    # The end.
    "putting everything away": "正在收尾",
    "went wrong: {error}": "出错：{error}",
    "all {promises:promise} held, {seconds:.0f} s": "{promises} 项承诺全部兑现，用时 {seconds:.0f} 秒",
    "NOT all promises held, {seconds:.0f} s": "承诺没有全部兑现，用时 {seconds:.0f} 秒",
    "The picture of it is in {file}.": "图已写入 {file}。",
}
