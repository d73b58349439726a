import { createHash } from 'node:crypto'
import type { Limit, Period, Principal } from '../call.ts'
import type { ConfiguredLimit, LimitSubject, QuotaConfig, RequestQuota } from './config.ts'
import type { Counter } from './counters.ts'
import { compileWildcard } from './patterns.ts'

export type CounterUnit = Counter['unit']

/** The part of a request by which limits distinguish subjects. */
export interface LimitedRequest {
  readonly principal: Principal | undefined
  /** Absent without a connection. */
  readonly address: string | undefined
  /** Absent while the request is counted as a whole, before its model is known. */
  readonly target?: LimitTarget | undefined
}

export interface LimitTarget {
  readonly provider: string
  /** The catalogue’s id. */
  readonly model: string
  readonly upstreamModel: string
  /** As the caller named it: limits may name it so. */
  readonly requestedModel?: string | undefined
  /** Models that may respond in its place. */
  readonly fallbacks?: readonly { readonly field: string; readonly model: string; readonly upstreamModel: string }[] | undefined
}

/** A limit, ready to be counted. */
export interface CompiledLimit {
  /** Distinguishes its counters from those of other limits. The amount is not part of it, so that it can change. */
  readonly identity: string
  readonly per: readonly LimitSubject[]
  readonly period: Period
  readonly name: string | undefined
  /** Of the configuration, not of a key: the number of its names is bounded. */
  readonly isConfigured: boolean
  readonly amounts: readonly { readonly unit: CounterUnit; readonly limit: number }[]
  /** Whether it depends on the model or its provider. */
  readonly isPerTarget: boolean
  /** Whether it depends on the caller’s address. */
  readonly isPerAddress: boolean
  appliesTo(principal: Principal | undefined): boolean
  matches(target: LimitTarget): boolean
}

/** Whether all conditions of a list hold for a user. */
type CompileConditions = (conditions: readonly string[]) => (principal: Principal | undefined) => boolean

const always = (): boolean => true

/** Llama Stack’s quota and the configured limits, in the order in which they are checked. */
export function compileLimits({ requests, limits }: QuotaConfig, conditions: CompileConditions): CompiledLimit[] {
  const ordinals = new Map<string, number>()
  return [...(requests ? quotaLimits(requests) : []), ...limits.map((limit) => compileLimit(limit, conditions, ordinals))]
}

/** The limits of one of Corral’s own keys. */
export function compileKeyLimits(limits: readonly Limit[]): CompiledLimit[] {
  const ordinals = new Map<string, number>()
  return limits.map((limit) => ({
    ...compileCommon(limit, ['key']),
    isConfigured: false,
    identity: withOrdinal(JSON.stringify(['own', limit.name ?? null, limit.period]), ordinals),
    appliesTo: always,
    matches: always,
  }))
}

function quotaLimits({ anonymous, authenticated, period }: RequestQuota): CompiledLimit[] {
  const quota = (callers: string, requests: number, per: LimitSubject): Omit<CompiledLimit, 'appliesTo'> => ({
    ...compileCommon({ period, requests }, [per]),
    isConfigured: true,
    identity: JSON.stringify(['quota', callers, period]),
    matches: always,
  })
  return [
    { ...quota('authenticated', authenticated, 'user'), appliesTo: (principal) => principal !== undefined },
    { ...quota('anonymous', anonymous, 'address'), appliesTo: (principal) => principal === undefined },
  ]
}

function compileLimit(limit: ConfiguredLimit, conditions: CompileConditions, ordinals: Map<string, number>): CompiledLimit {
  const { per, when, models, providers, name, period } = limit
  const patterns = models?.map(compileWildcard)
  const common = compileCommon(limit, per)
  return {
    ...common,
    isConfigured: true,
    identity: withOrdinal(JSON.stringify(['limit', name ?? null, per, when, models ?? null, providers ?? null, period]), ordinals),
    isPerTarget: common.isPerTarget || patterns !== undefined || providers !== undefined,
    appliesTo: when.length === 0 ? always : conditions(when),
    matches: ({ provider, model, upstreamModel, requestedModel = model }) => {
      if (providers && !providers.includes(provider)) return false
      if (!patterns) return true
      const full = `${provider}/${upstreamModel}`
      return patterns.some((matches) => matches(model) || matches(full) || matches(requestedModel))
    },
  }
}

function compileCommon(limit: Limit, per: readonly LimitSubject[]) {
  const amounts: { unit: CounterUnit; limit: number }[] = []
  for (const { unit, read } of unitReaders) {
    const amount = read(limit)
    if (amount !== undefined) amounts.push({ unit, limit: amount })
  }
  return {
    per,
    period: limit.period,
    name: limit.name,
    amounts,
    isPerTarget: per.includes('model') || per.includes('provider'),
    isPerAddress: per.includes('address'),
  }
}

/** The units of a limit, in the order in which they are checked. */
const unitReaders: readonly { unit: CounterUnit; read: (limit: Limit) => number | undefined }[] = [
  { unit: 'slots', read: ({ concurrentRequests }) => concurrentRequests },
  { unit: 'requests', read: ({ requests }) => requests },
  { unit: 'input_tokens', read: ({ inputTokens }) => inputTokens },
  { unit: 'output_tokens', read: ({ outputTokens }) => outputTokens },
  { unit: 'total_tokens', read: ({ totalTokens }) => totalTokens },
  { unit: 'nano_dollars', read: ({ dollars }) => (dollars === undefined ? undefined : Math.round(dollars * 1e9)) },
]

/** Equal limits are counted separately. */
function withOrdinal(identity: string, ordinals: Map<string, number>): string {
  const ordinal = ordinals.get(identity) ?? 0
  ordinals.set(identity, ordinal + 1)
  return `${identity}#${ordinal}`
}

/** Whether the unit is counted for the request as a whole, before its model is known. */
export function isRequestUnit(unit: CounterUnit): boolean {
  return unit === 'requests' || unit === 'slots'
}

/**
 * The subjects for which a limit counts a request, such as every team of the user. A caller without the attribute of a limit is counted too: without a
 * key as its user, without a user as its address, and all callers without a team (or attribute) together.
 */
export function subjectsOf(per: readonly LimitSubject[], request: LimitedRequest): string[] {
  let subjects: string[][] = [[]]
  for (const one of per) {
    const values = valuesOf(one, request)
    subjects = subjects.flatMap((before) => values.map((value) => [...before, value]))
  }
  return subjects.map((parts) => JSON.stringify(parts))
}

function valuesOf(subject: LimitSubject, request: LimitedRequest): readonly string[] {
  const { principal, address, target } = request
  if (subject === 'global') return ['global']
  if (subject === 'key') return principal?.key ? [`key:${principal.key.id}`] : valuesOf('user', request)
  if (subject === 'user') return principal ? [`user:${principal.id}`] : valuesOf('address', request)
  if (subject === 'address') return [`address:${address === undefined ? '' : networkOf(address)}`]
  if (subject === 'model') return [`model:${target?.model ?? ''}`]
  if (subject === 'provider') return [`provider:${target?.provider ?? ''}`]
  const name = subject === 'team' ? 'teams' : subject.slice('attribute:'.length)
  const values = Object.hasOwn(principal?.attributes ?? {}, name) ? [...new Set(principal?.attributes[name])] : []
  return values.length > 0 ? values.map((value) => `${name}=${value}`) : [`no ${name}`]
}

/** An IPv4 address as it is; of an IPv6 address the /64, the least that a subscriber has. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.toLowerCase().split('%')[0]!.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  const groups = [...before, ...zeros, ...after].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''))
  return `${groups.join(':')}::/64`
}

/** The counters of a limit for one request. `namespace` separates servers that share a store. */
export function countersOf(
  limit: CompiledLimit,
  request: LimitedRequest,
  units: (unit: CounterUnit) => boolean,
  namespace: string,
): Counter[] {
  const amounts = limit.amounts.filter(({ unit }) => units(unit))
  if (amounts.length === 0) return []
  return subjectsOf(limit.per, request).flatMap((subject) =>
    amounts.map(({ unit, limit: max }) => {
      const label = labelOf(limit, unit, max)
      return {
        id: createHash('sha256')
          .update(JSON.stringify([namespace, limit.identity, subject, unit]))
          .digest('base64url'),
        unit,
        limit: max,
        period: limit.period,
        label,
        limitName: limit.isConfigured ? (limit.name ?? label) : undefined,
      }
    }),
  )
}

function labelOf({ name, per, period }: CompiledLimit, unit: CounterUnit, max: number): string {
  const amount =
    unit === 'slots' ? `${max} ${plural('request', max)} at once` : `${formatAmount(unit, max)} ${period === 'hour' ? 'an' : 'a'} ${period}`
  const subjects = per.filter((one) => one !== 'global').map((one) => (one.startsWith('attribute:') ? `value of ${one.slice(10)}` : one))
  const text = `${amount}${subjects.length > 0 ? ` for each ${subjects.join(' and ')}` : ' for all together'}`
  return name === undefined ? text : `'${name}' (${text})`
}

/** An amount in words, e.g. `$2.50`, `1000 input tokens`. */
export function formatAmount(unit: CounterUnit, amount: number): string {
  if (unit === 'nano_dollars') return `$${formatDollars(amount)}`
  if (unit === 'requests' || unit === 'slots') return `${amount} ${plural('request', amount)}`
  const kind = unit === 'total_tokens' ? '' : unit === 'input_tokens' ? 'input ' : 'output '
  return `${amount} ${kind}${plural('token', amount)}`
}

/** With two decimals, or as many as the amount needs. */
function formatDollars(nano: number): string {
  const [whole = '0', fraction = ''] = (nano / 1e9).toFixed(9).split('.')
  return `${whole}.${fraction.replace(/0+$/, '').padEnd(2, '0')}`
}

function plural(word: string, count: number): string {
  return count === 1 ? word : `${word}s`
}
