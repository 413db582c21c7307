"""Patterns that tell what a server's error is about: moderation, credit, the key, the model, capacity.

All patterns are for lower-case text. They cover the wordings of OpenAI's API, of the gateways new-api, one-api,
LiteLLM and OpenRouter, and of the vendors behind them, in English and Chinese.
"""

from __future__ import annotations

import re

MODERATION = re.compile(
    r"moderation_blocked|sentinel_block|content[_ ]?(?:policy|filter|moderation|safety)|contentfilter|content polic"
    r"|blocked by .{0,30}moderation|(?:input|output)_moderation|moderation (?:system|failed|refused|check|service)"
    r"|safety (?:system|filter|polic|check|guideline|reason)|safety\.(?:input|output)|child safety|ip_detected"
    r"|violat\w{1,4} .{0,60}(?:polic|guideline|terms|rule)|polic(?:y|ies) violation|usage (?:polic|guideline)"
    r"|guardrail|hooks_failed|risk not pass|prompt blocked|blocked due to security"
    r"|sensitive[ _]?(?:information|content|word|data|material)|sensitivecontent"
    r"|risk[ _-]?control|data_?inspection_?failed|data may contain inappropriate|inappropriate (?:content|image|prompt)"
    r"|flagged (?:by|as|for)|responsible ai|responsibleai|rai_?(?:media_?)?filter|nsfw|sexual content"
    r"|prohibited[ _]content|respect_moderation|privacyinformation"
    r"|(?<!no )\b(?:real(?:istic)?|human|identifiable|recogni[sz]able)[- ](?:person|people|human|individual|face)"
    r"|public figure|celebrit|\b(?:person|people|faces?|likeness)\b.{0,40}(?:not (?:allowed|permitted)|prohibited)"
    r"|(?:not allowed|not permitted|prohibited).{0,40}\b(?:person|people|faces?|likeness)\b"
    r"|内容违规|审核|敏感|违规|违法|不合规|内容安全|风控|风险控制|真人|真实人物|人脸|人像|肖像|公众人物|涉黄|色情"
)
"""The content was refused: the prompt, the picture, or the clip made of them."""

SIZE_MISMATCH = re.compile(r"must match the requested width and height")

CREDIT = re.compile(
    r"insufficient[_ ]?(?:\w{1,12}[_ ]){0,2}(?:quota|balance|credit|fund)s?|insufficientbalance|insufficientquota"
    r"|exceeded your current quota|quota_failed|billing_(?:hard_limit_reached|not_active)|budget_?exceeded"
    r"|budget has been exceeded|exceeded budget|quota_?exceeded|quota (?:is |has been )?(?:used up|exhausted)"
    r"|(?:credit|account|wallet)s? (?:balance|limit|quota)\w* .{0,30}"
    r"(?:too low|insufficient|not enough|exhausted|used up|negative|reached|exceeded|depleted)"
    r"|exhausted balance|(?:n't|n’t| not) have (?:any|enough|sufficient) (?:\w{1,12} )?(?:credit|balance|fund|quota)"
    r"|reached the (?:set )?(?:inference|spending|usage|budget) limit|top up your|用量上限|购买积分"
    r"|(?:balance|credits?) (?:is |are )?(?:too low|insufficient|not enough|exhausted|depleted|used up)"
    r"|(?:not enough|out of|no more|requires more) (?:\w{1,12} )?(?:credit|balance|fund)"
    r"|arrear|overdue|payment required|purchase (?:more )?credits"
    r"|(?:free (?:allocated )?(?:quota|tier|trial)|resource pack).{0,30}(?:used up|exhausted|exceeded|expired)"
    r"|(?:额度|余额|配额)(?:不足|已用尽|已用完|耗尽)|欠费|预扣费|请充值"
)
"""The account has no money, credit or paid quota left."""

BAD_KEY = re.compile(
    r"invalid_?api_?key|(?:incorrect|invalid|wrong|unknown|missing|expired|revoked|disabled) (?:\w{1,12} )?api[- ]?key"
    r"|api[- ]?key (?:\w{1,12} ){0,3}(?:invalid|expired|revoked|disabled|missing|incorrect|wrong|not (?:valid|found))"
    r"|(?:invalid|expired|missing|no)[_ ](?:access[_ ]|auth[_ ]|bearer[_ ])?token"
    r"|token (?:is |has )?(?:invalid|expired|been revoked)"
    r"|(?:provide|requires?|need|without) (?:a |an |your )?(?:valid )?api[- ]?key|no api[- ]?key"
    r"|authentication[_ ]?(?:error|failed|fails|failure|required)|auth_?error|invalid authentication|unauthenticated"
    r"|unauthori[sz]ed|invalid[_ ](?:auth|credential)|no_db_connection|no connected db"
    r"|无效的(?:令牌|api ?key|密钥)|令牌(?:无效|已过期|已禁用|已失效|不存在|状态不可用)"
    r"|(?:密钥|api ?key)(?:无效|错误|已过期)|未提供令牌"
)
"""The API key is refused. LiteLLM without a database answers ``No connected db.`` to every key but its own."""

LOCATION = re.compile(
    r"(?:location|country|region|territory)\b.{0,40}"
    r"(?:not (?:supported|available|allowed|permitted)|blocked|restricted)"
    r"|unsupported_country|(?:from|in) your (?:country|region|location)"
    r"|\bip(?: address)?\b.{0,40}(?:not |block|den|restrict)"
    r"|ip_not_|private endpoint|firewall|access denied by|(?:国家|地区|区域).{0,20}(?:不支持|不可用|限制)"
)
"""The request is refused because of where it comes from: a country, an address, a network."""

MODEL = re.compile(
    r"model_not_(?:found|available|supported|open|exist)|modelnot(?:found|open)|deploymentnotfound|model_price_error"
    r"|no available channel|无可用渠道|no endpoints? found|invalidendpointormodel|model mismatch|model_not_allowed"
    r"|access to (?:the |this )?model|key_model_access_denied|team_model_access_denied"
    r"|(?:no|not|without|denied|deny) .{0,20}(?:access|permission|allowed|authori[sz]ed).{0,40}\bmodel"
    r"|(?:unknown|invalid|unsupported|unrecognized) model(?: name|\W{0,2}$|\W{0,2}[:'\"`])"
    r"|model\W{1,3}(?:[\w.:/@-]{1,80}\W{1,3})?(?:is |was |does |has been |has |are )?(?:currently |no longer )?"
    r"(?:not (?:found|exist|supported|available|offered|enabled|open|activated|configured)|available anymore|deprecated"
    r"|retired|discontinued|sunset|decommissioned|removed|shut ?down|no longer (?:available|supported))"
    r"|(?:shut ?down|retired|discontinued|sunset|decommissioned)\b.{0,60}\b(?:model|api|service)"
    r"|\b(?:model|api|service)\b.{0,60}(?:shut ?down|retired|discontinued|sunset|decommissioned)"
    r"|(?:price|ratio|pricing)\b.{0,30}not (?:been )?(?:configured|set)|(?:倍率|价格).{0,20}未(?:配置|设置)"
    r"|无权(?:访问|使用|调用).{0,30}模型|模型.{0,60}(?:不存在|未找到|不可用|已下线|未开通|无权|未启用|不支持)"
)
"""The server does not offer the model, or not to this account."""

TOO_MANY_RUNNING = re.compile(
    r"too many (?:running|active|pending|concurrent|parallel|unfinished)|concurren|parallel task|并发"
)
"""Too many of our own jobs are running at once."""

CAPACITY = re.compile(
    r"overload|no available channel|无可用渠道|queue (?:is |was )?full|queue_full|full queue|saturated"
    r"|饱和|过载|队列已满"
    r"|(?:at|over|out of|no|insufficient) capacity|capacity (?:is )?(?:exceeded|reached|full)"
)
"""The server accepts no orders from anybody now."""

RATE_LIMIT = re.compile(r"rate[ _-]?limit|too[ _]many[ _]requests|throttl|请求过于频繁|请求频率|速率限制")

REFUSAL = re.compile(
    r"(?:invalid|unsupported|missing)[_ -]?"
    r"(?:request|param|argument|input|value|field|prompt|image|size|seconds|format|type|required)"
    r"|bad[_ -]?request|validation[_ -]?(?:error|failed)|required[_ -]?(?:param|field)|unprocessable"
)
"""In the code or type of an error: the request itself was refused."""

DUPLICATE = re.compile(r"duplicate|already|exist|in progress|conflict with .{0,20}request|idempoten")
"""The server already has an order like this one; it may be this very order."""

UNKNOWN_VIDEO = re.compile(
    r"(?:video|task|job|generation|request|prediction|operation)_not_(?:found|exist)"
    r"|(?:video|task|job|generation|prediction|operation)(?: with)?(?: id)?\W{1,3}(?:\S{1,250}\W{1,3})?"
    r"(?:was |is |could |does |do )?not (?:be )?(?:found|exist)|任务不存在"
)
EXPIRED = re.compile(r"expired|no longer available|has been deleted|已过期|已失效")
NO_ROUTE = re.compile(
    r"\s*(?:not found\W*$|method not allowed|invalid url|404 page not found|cannot (?:get|post)|no route)"
)
"""The address is wrong; nothing is known about the video."""
NO_GATEWAY_ROUTE = re.compile(r"^missing authentication token$")
"""What AWS's API gateway answers, with a 403, to an unknown path."""
