/** The content of an upstream's error body, in any known form. */
export interface UpstreamErrorBody {
  message?: string
  type?: string
  code?: string
  param?: string
  /** A status from 400 to 599 named in the body. */
  status?: number
}

type ErrorFields = Readonly<Record<string, unknown>>

/**
 * Reads a parsed error body: OpenAI's and Google's `{error: {…}}` (Google's also in a list), Anthropic's `{type: "error", error}`, FastAPI's `{detail}`,
 * `{errors: […]}`, RFC 9457's `{title, detail, status}`, and flat ones such as `{message}`, `{error: "…"}`, `{error_code, message}`.
 */
export function readErrorBody(body: unknown): UpstreamErrorBody {
  if (typeof body === 'string') return body.trim() ? { message: body.trim() } : {}
  if (Array.isArray(body)) return body.length > 0 ? readErrorBody(body[0]) : {}
  if (!isFields(body)) return {}
  const outer = readFields(body)
  const inner = readInner(body)
  // A short `error` beside a `message` is a title: `{"status": 401, "error": "Unauthorized", "message": "The key has expired"}`.
  if (typeof body['error'] === 'string' && outer.message !== undefined) return { ...inner, ...outer }
  return { ...outer, ...inner }
}

/** Whether a 200's body, or a frame without choices, is an error in disguise. */
export function isErrorBody(body: ErrorFields): boolean {
  if (body['error'] !== undefined && body['error'] !== null && body['error'] !== false) return true
  if (body['object'] === 'error' || body['type'] === 'error') return true
  if (Array.isArray(body['errors']) && body['errors'].length > 0) return true
  if ('choices' in body || 'data' in body) return false
  return 'detail' in body || ('message' in body && typeof body['message'] === 'string')
}

function readInner(body: ErrorFields): UpstreamErrorBody {
  const { error, errors } = body
  if (Array.isArray(error) || typeof error === 'string')
    return Array.isArray(error) ? { message: error.map(toText).join('; ') } : readErrorBody(error)
  if (isFields(error)) return readFields(error)
  return Array.isArray(errors) ? readErrorBody(errors) : {}
}

const messageKeys = [
  'message',
  'Message',
  'msg',
  'detail',
  'details',
  'error_message',
  'error_description',
  'description',
  'title',
  'reason',
]

function readFields(fields: ErrorFields): UpstreamErrorBody {
  const { type, error_type, code, error_code, status, param } = fields
  const detail = readDetail(fields['detail'])
  const found = messageKeys.map((key) => readMessage(fields[key])).find((text) => text !== undefined)
  const nested = isFields(fields['error']) ? undefined : readMessage(fields['error'])
  const message = detail.message !== undefined && fields['message'] === undefined ? detail.message : (found ?? nested)
  return {
    ...(message !== undefined && { message }),
    ...pickType(type, error_type),
    ...pickCode(code, error_code, status),
    ...(typeof param === 'string' ? { param } : detail.param !== undefined && { param: detail.param }),
    ...pickStatus(fields),
  }
}

function readMessage(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() || undefined
  if (isFields(value)) return readErrorBody(value).message ?? JSON.stringify(value)
  return Array.isArray(value) && value.length > 0 ? value.map(toText).join('; ') : undefined
}

/** FastAPI: a text, or a list of `{loc: ["body", "messages", 0], msg}`. */
function readDetail(detail: unknown): Pick<UpstreamErrorBody, 'message' | 'param'> {
  if (!Array.isArray(detail) || detail.length === 0) return {}
  const places = detail.map((item) =>
    isFields(item) && Array.isArray(item['loc']) ? item['loc'].filter((part) => part !== 'body').join('.') : '',
  )
  const message = detail.map((item, at) => (places[at] ? `${places[at]}: ${toText(item)}` : toText(item))).join('; ')
  return { message, ...(places[0] && { param: places[0] }) }
}

function toText(item: unknown): string {
  if (typeof item === 'string') return item
  return readMessage(isFields(item) ? (item['msg'] ?? item) : item) ?? JSON.stringify(item)
}

/** The first text that is a name: `error` says nothing, and `about:blank` is a link. */
function pickType(...candidates: readonly unknown[]): Pick<UpstreamErrorBody, 'type'> {
  const type = candidates.find(
    (candidate) => typeof candidate === 'string' && candidate !== '' && candidate !== 'error' && !/^\w+:/.test(candidate),
  )
  return type === undefined ? {} : { type: type as string }
}

/** Google's `code` is the HTTP status as a number, and its `status` the name that others call code. */
function pickCode(code: unknown, errorCode: unknown, status: unknown): Pick<UpstreamErrorBody, 'code'> {
  const name = [code, errorCode, status].find((candidate) => typeof candidate === 'string' && candidate !== '')
  if (typeof name === 'string') return { code: name }
  return typeof code === 'number' ? { code: String(code) } : {}
}

function pickStatus(fields: ErrorFields): Pick<UpstreamErrorBody, 'status'> {
  const status = ['status', 'status_code', 'statusCode', 'code', 'http_status']
    .map((key) => Number(fields[key]))
    .find((value) => value >= 400 && value <= 599)
  return status === undefined || !Number.isInteger(status) ? {} : { status }
}

function isFields(value: unknown): value is ErrorFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
