"""What happens in each scenario."""

STORIES = {
    "A booked guest taps: the door opens, and the province holds the registration.": (
        "已预订的住客刷手机：门打开，省级平台收到登记。"
    ),
    "Two guests of one stay, with different documents and different device authentication.": (
        "同一次入住的两位住客，证件不同，设备认证方式也不同。"
    ),
    "Power and network are gone: registered guests get in, new ones do not. Days later nobody does.": (
        "断电又断网：已登记的住客能进门，新住客不能；几天之后谁也不能。"
    ),
    "The province's clock is wrong, by a day back and by years ahead; old answers are replayed.": (
        "省级平台的时钟出错，先慢一天，再快几年；还有人重放旧的应答。"
    ),
    (
        "One listing, two doors, two edge agents: guests of one stay check in at each door; one agent carries for both."
    ): "一个房源，两扇门，两个边缘网关：同一次入住的住客在每扇门分别登记；一个网关替两扇门传送。",
    (
        "The door is forced, opened by key and held open, and the lock's cover is taken off: the province "
        "learns it all."
    ): "门被强行打开、用钥匙打开、一直开着不关，门锁外壳被拆：省级平台全都知道。",
    "The broker is down, then Bluetooth too: guests get in, and later no record is missing or twice.": (
        "消息服务器停了，接着蓝牙也断了：住客照样进门，事后记录不丢失也不重复。"
    ),
    (
        "No edge agent comes until the journal is full: new guests wait, registered guests get in, and all is reported."
    ): "边缘网关一直不来，登记流水区写满：新住客等待，已登记的住客照样进门，事后全部上报。",
    (
        "The NFC chip stops answering: the lock says so, stays shut, keeps running, and serves a guest when it is back."
    ): "NFC 芯片没有应答：门锁报告故障，保持关闭，继续运行；芯片恢复后照常接待住客。",
    "A child taps before the parents, then after one, then after both; later it comes back alone.": (
        "孩子先于父母刷手机，再在一人之后，再在两人之后；后来独自回来。"
    ),
    (
        "A booking for two that names one guest: a companion comes too early, then in time; a third is one too many."
    ): "两人的预订只写了一位住客：同行人先是来早了，后来来得正好；第三个人超员。",
    "The province suspends a listing, lets it go on, and revokes it, while a stay is running.": (
        "入住期间，省级平台暂停房源，又恢复，再撤销。"
    ),
    "One stay is cancelled, another shortened. A courier kept the older grants and brings them back.": (
        "一次入住被取消，另一次被缩短。有传送方留着旧的入住授权，又把它们送来。"
    ),
    "The lock loses its power in the middle of writing to flash, again and again, while guests check in.": (
        "住客办理入住时，门锁一再在写闪存的中途断电。"
    ),
    (
        "The power is cut at each flash operation of a boot, an opening and its receipt in turn. The guest comes back."
    ): "从开机、开门到收到回执，依次在每一次闪存操作时断电。住客再回来。",
    (
        "The firmware hangs as it opens the door, then one of its tasks crashes, then its boot: the door stays shut."
    ): "固件在开门时卡死，之后一个任务崩溃，再后来开机崩溃：门保持关闭。",
    "The supply fails after each boot: the lock writes little, does not open, and reports it in one record.": (
        "每次开机后电源都会掉电：门锁很少写闪存，不开门，并用一条记录上报。"
    ),
    "Static handover and retrieval over NFC, with phones whose APDUs and blocks differ.": (
        "静态连接切换，经 NFC 读取；各部手机的 APDU 和数据块各不相同。"
    ),
    "Negotiated handover over NFC, with phones whose NDEF file is empty at first; one stays empty.": (
        "经 NFC 协商连接切换；手机的 NDEF 文件起初是空的，其中一部始终为空。"
    ),
    (
        "Retrieval over BLE from a phone that is the central: the lock is the server. A cut, and a guest who declines."
    ): "经 BLE 读取，手机是中心设备，门锁是服务器。一次断线，一位拒绝出示的住客。",
    (
        "Retrieval over BLE from a phone that is the peripheral: the lock is the central. A cut, and a guest "
        "who declines."
    ): "经 BLE 读取，手机是外围设备，门锁是中心设备。一次断线，一位拒绝出示的住客。",
    "A phone is taken away at some block, again and again. Each opening has its record.": (
        "手机一再在某个数据块处被拿走。每次开门都有记录。"
    ),
    "Frames between phone, chip and lock are lost, damaged and late. Guests get in, a stranger does not.": (
        "手机、芯片和门锁之间的帧丢失、损坏、迟到。住客进得去，陌生人进不去。"
    ),
    "Two phones at the reader at once; then a second phone while the first is being read over BLE.": (
        "两部手机同时靠近读卡器；之后，经 BLE 读取第一部时又来了第二部。"
    ),
    "A valid document of someone without a booking here; then a document from an issuer that is not trusted.": (
        "没有预订的人，证件有效；之后是一份由不受信任的机构签发的证件。"
    ),
    "A booked guest's phone alters the signed data, in every possible way, and then is honest.": (
        "已预订住客的手机用各种办法改动已签名的数据，最后如实出示。"
    ),
    "A guest presents a document that expired yesterday.": "住客出示昨天过期的证件。",
    "Someone records a guest's response from the air and presents it in a tap of their own.": (
        "有人从空中录下住客的应答，再自己拿来刷。"
    ),
    "After the first tap a guest comes back by PIN and by the phone's stay key, until the stay is cancelled.": (
        "第一次刷手机之后，住客凭 PIN 码和手机里的入住钥匙回来，直到入住被取消。"
    ),
    "Someone types many PINs and cuts the power in between. The guest still gets in by phone.": (
        "有人反复试 PIN 码，中间还断电。住客用手机仍能进门。"
    ),
    (
        "A document signer is revoked, so its documents no longer open; another signer's do. Then the issuer "
        "is removed."
    ): "一个证件签名者被吊销，它签的证件不再能开门，另一个签名者的能；之后签发机构被移出信任列表。",
    "A status list revokes one document and suspends another; a third stays valid.": (
        "状态列表吊销一份证件，暂停另一份；第三份仍然有效。"
    ),
    "An issuer's CRL expires, and its documents check nobody in until a new CRL comes.": (
        "签发机构的 CRL 过期，新的 CRL 送到之前，它的证件不能办理入住。"
    ),
    "A resident's document with SM2 and SM3 opens the door. One from an issuer that is not trusted does not.": (
        "用 SM2 和 SM3 签名的居民电子身份证能开门。由不受信任的机构签发的不能。"
    ),
}
