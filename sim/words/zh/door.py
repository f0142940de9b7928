"""Texts about a door: its light and tone, taps, and the timeline of an opening."""

DOOR = {
    # Light and tone.
    "no light": "灯不亮",
    "blue light": "蓝灯",
    "green light": "绿灯",
    "cyan light": "青灯",
    "red light": "红灯",
    "magenta light": "紫灯",
    "amber light": "黄灯",
    "white light": "白灯",
    "{light}, {hertz} Hz {times}": "{light}，{hertz} Hz {times}",
    "once": "一声",
    "twice": "两声",
    "three times": "三声",
    "{times} times": "{times} 声",
    "no tone": "没有声音",
    # The result of a tap.
    "let in after {ms:.0f} ms": "{ms:.0f} 毫秒后进门",
    "not let in, {code}": "未能进门，{code}",
    "not noticed": "未被察觉",
    "{result}, {light}": "{result}，{light}",
    "{when}  {who}: {result}": "{when}  {who}：{result}",
    # The timeline.
    "ms": "毫秒",
    "who": "谁",
    "what": "做了什么",
    "took": "用时",
    "{ms:.0f} ms": "{ms:.0f} 毫秒",
    "phone": "手机",
    "lock": "门锁",
    "edge": "边缘网关",
    "province": "省级平台",
    "held to the lock": "靠近门锁",
    "NFC engagement: static handover read, {apdus} APDUs": "NFC 连接：读到静态连接切换信息，{apdus} 条 APDU",
    "keys agreed (ECDH, AES-256-GCM); request signed with the door's reader key, {bytes} bytes": (
        "商定会话密钥（ECDH、AES-256-GCM）；请求用这扇门的读卡器密钥签名，{bytes} 字节"
    ),
    "the next request in this session, signed alike, {bytes} bytes": (
        "同一次会话里的下一个请求，同样签名，{bytes} 字节"
    ),
    "verifies who asks: {reader}, for {kinds:kind} of document": "收到对 {kinds} 种证件的请求，核验请求方：{reader}",
    "answers that it has none of these": "回答：没有这类证件",
    "agrees, and signs for this session alone: {elements:element}, {portrait}": (
        "同意出示，签名只用于这次会话：{elements} 项信息，{portrait}"
    ),
    "with a portrait": "包含人像",
    "no portrait": "不含人像",
    "response received and decrypted, {bytes} bytes": "收到应答并解密，{bytes} 字节",
    "verified: issuer's chain, signature, digests, validity, device authentication": (
        "验证通过：签发机构的证书链、签名、摘要、有效期、设备认证"
    ),
    "decided: a grant names this guest, the stay has begun": "决定开门：有指代这位住客的入住授权，入住时间已到",
    "record sealed to the province (HPKE), signed by the lock, {bytes} bytes": (
        "记录封装给省级平台（HPKE），门锁签名，{bytes} 字节"
    ),
    "journal: record {counter} durable in flash": "登记流水区：第 {counter} 条记录已写进闪存",
    "journal: entry counted in flash": "登记流水区：这次进门已计数，写进闪存",
    "the strike opens: {signal}": "电锁扣打开：{signal}",
    "over BLE: sealed record {counter} in the outbox, durable, unreadable here": (
        "经 BLE 收到第 {counter} 条记录（已封装）：存进发件箱并落盘，这里读不到内容"
    ),
    "batch on its way: {topic}, {size:byte}": "成批发送：{topic}，{size} 字节",
    "verified, opened, checked against the profile, committed": "验证、解开、按辖区规则检查、入库",
    "signed receipt on its way back: {topic}, {size:byte}": "签名回执返回：{topic}，{size} 字节",
    "receipt verified: {records:record} forgotten": "回执验证通过：删除 {records} 条记录",
    "journal trimmed: the province has it, by its signature": "登记流水区已清理：省级平台签名确认收到",
}
