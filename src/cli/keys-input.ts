import { type KeyLimit, createApiKeyRequest, type CreateApiKeyRequest } from '../schemas/api-keys.ts'
import { usageError } from './command.ts'
import { readDuration, readMoment } from './times.ts'

interface CreateKeyOptions {
  readonly name: string
  readonly as: string | undefined
  readonly attribute: readonly string[]
  readonly model: readonly string[]
  readonly api: readonly string[]
  readonly expires: string | undefined
  readonly limit: readonly string[]
}

/** The options of `corral keys create` as the request body of the HTTP API. Throws a usage error that names the option. */
export function readCreateKeyOptions(options: CreateKeyOptions, now: number): CreateApiKeyRequest {
  const attributes = readAttributes(options.attribute)
  const body = {
    name: options.name,
    // A command line has no authenticated principal to default to.
    principal: options.as ?? options.name,
    ...(options.attribute.length > 0 && { attributes }),
    ...(options.model.length > 0 && { allowed_models: options.model }),
    ...(options.api.length > 0 && { allowed_apis: options.api }),
    ...(options.limit.length > 0 && { limits: options.limit.map(readLimit) }),
    ...(options.expires !== undefined && { expires_at: Math.floor(readExpiry(options.expires, now) / 1000) }),
  }
  const checked = createApiKeyRequest.safeParse(body)
  if (checked.success) return checked.data
  const [issue] = checked.error.issues
  const field = String(issue?.path[0] ?? '')
  throw usageError(`${optionOf[field] ?? field}: ${issue?.message ?? 'not valid'}.`, 'See `corral help keys create`.')
}

const optionOf: Readonly<Record<string, string>> = {
  name: '--name',
  principal: '--as',
  attributes: '--attribute',
  allowed_models: '--model',
  allowed_apis: '--api',
  limits: '--limit',
  expires_at: '--expires',
}

function readAttributes(pairs: readonly string[]): Record<string, string[]> {
  const attributes = new Map<string, string[]>()
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
    if (at < 1 || value === '') throw usageError(`--attribute: expected NAME=VALUE, got '${pair}'.`, 'E.g. --attribute teams=search.')
    attributes.set(name, [...(attributes.get(name) ?? []), value])
  }
  return Object.fromEntries(attributes)
}

const amounts: Readonly<Record<string, keyof KeyLimit>> = {
  requests: 'requests',
  input_tokens: 'input_tokens',
  output_tokens: 'output_tokens',
  total_tokens: 'total_tokens',
  dollars: 'dollars',
  concurrent_requests: 'concurrent_requests',
}

/** Shorter, for the command line alone. */
const amountAliases: Readonly<Record<string, keyof KeyLimit>> = { tokens: 'total_tokens', concurrent: 'concurrent_requests' }

function readLimit(text: string): KeyLimit {
  const [, name = '', number = '', period] = /^([a-z_]+)=(\d+(?:\.\d+)?)(?:\/([a-z]+))?$/.exec(text.replaceAll('-', '_')) ?? []
  const names = { ...amounts, ...amountAliases }
  const field = Object.hasOwn(names, name) ? names[name] : undefined
  const wrong = (why: string) =>
    usageError(`--limit ${text}: ${why}.`, 'E.g. --limit requests=60/minute, dollars=100/month or concurrent_requests=4.')
  if (!field) throw wrong(`expected AMOUNT=NUMBER/PERIOD with an amount of ${Object.keys(amounts).join(', ')}, tokens or concurrent`)
  if (field !== 'dollars' && !Number.isSafeInteger(Number(number))) throw wrong(`${name} must be an integer`)
  if (field === 'dollars' && Number(number) > 0 && Number(number) < 1e-9) throw wrong('the minimum is 0.000000001 dollars')
  if (field !== 'concurrent_requests' && period === undefined) throw wrong('a period is required: second, minute, hour, day, week or month')
  if (field === 'concurrent_requests' && period !== undefined) throw wrong('concurrent_requests does not take a period')
  return { [field]: Number(number), ...(period !== undefined && { period }) } as KeyLimit
}

/** When it is: so long from `now`, or a date (its first moment, UTC) or a time of ISO 8601, UTC where it names no zone. */
function readExpiry(text: string, now: number): number {
  const duration = readDuration(text)
  if (duration !== undefined) return now + duration
  const time = readMoment(text)
  if (time === undefined) throw usageError(`--expires ${text}: expected a duration like 90d or 12h, or a date like 2027-01-31.`)
  if (time <= now) throw usageError(`--expires ${text}: is in the past.`)
  return time
}
