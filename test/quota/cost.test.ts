import { Database } from 'bun:sqlite'
import { expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { join } from 'node:path'
import {
  chatChunk,
  chatReply,
  done,
  embeddingsReply,
  errorReply,
  failureOf,
  jsonReply,
  mockUpstream,
  type MockRequest,
  type MockUpstream,
  modelsReply,
  type Script,
  stall,
  stallBeforeHead,
} from '../../src/testing/index.ts'
import { inProcess } from '../cli/corral.ts'
import { parseText, valuesOf } from '../telemetry/metrics/parse-text.ts'
import { type Program, startProgram } from '../whole/program.ts'
import { usage } from './quota-server.ts'

setDefaultTimeout(60_000)

/** Awkward on purpose: most responses cost fractions of a billionth, which are rounded up. */
const prices = [
  { provider: 'east', model: 'small', input_per_million: 0.0371, output_per_million: 0.1013, cached_input_per_million: 0.0037 },
  { provider: 'east', model: 'large', input_per_million: 3.3333, output_per_million: 14.999_999 },
  { provider: 'west', model: 'small', input_per_million: 0.1, output_per_million: 0.3, per_request: 0.000_000_7 },
  { provider: 'west', model: 'vectors', input_per_million: 0.020_001 },
]

type Kind = 'whole' | 'untold' | 'stream' | 'untold stream' | 'cut' | 'left' | 'left early' | 'error' | 'vectors'

interface Asked {
  readonly kind: Kind
  readonly provider: 'east' | 'west'
  /** `large` of `west` has no price. */
  readonly model: 'small' | 'large'
  readonly input: number
  readonly output: number
  readonly as: 'ada' | 'bob'
}

const asked: fc.Arbitrary<Asked> = fc.record({
  kind: fc.constantFrom<Kind>('whole', 'untold', 'stream', 'untold stream', 'cut', 'left', 'left early', 'error', 'vectors'),
  provider: fc.constantFrom('east', 'west'),
  model: fc.constantFrom('small', 'large'),
  input: fc.integer({ min: 1, max: 99_999 }),
  output: fc.integer({ min: 1, max: 9_999 }),
  as: fc.constantFrom('ada', 'bob'),
})

const words = (count: number): string[] => Array.from({ length: count }, (_, at) => chatChunk({ content: `word ${at} ` }))

/** The request under way: it has come to the provider; its caller has received the beginning of the response. */
interface Reading {
  arrived: PromiseWithResolvers<void>
  begun: PromiseWithResolvers<void>
}

/** Responds as the last message, or the input, says in JSON. */
function reply({ path, json }: MockRequest, { arrived, begun }: Reading): Script {
  if (path.endsWith('/models')) return modelsReply(['small', 'large', 'vectors'])
  arrived.resolve()
  const said = (json?.['input'] ?? (json?.['messages'] as { content: string }[] | undefined)?.at(-1)?.content) as string
  const { kind, input, output } = JSON.parse(said) as Asked
  const reported = usage(input, output, { prompt_tokens_details: { cached_tokens: Math.floor(input / 3) } })
  const frames = words(1 + (output % 20))
  if (kind === 'vectors') return jsonReply({ ...bodyOf(embeddingsReply()), usage: { prompt_tokens: input, total_tokens: input } })
  if (kind === 'whole') return chatReply('Hello.', reported)
  if (kind === 'untold') return chatReply('Hello. '.repeat(1 + (output % 50)), { usage: undefined })
  if (kind === 'error') return errorReply(500)
  if (kind === 'left early') return stallBeforeHead
  if (kind === 'left') return { body: [...frames, stall] }
  if (kind === 'cut') return { body: [...frames, { until: begun.promise }], end: 'cut' }
  const last = kind === 'stream' ? [chatChunk({}, null, { choices: [], ...reported })] : []
  return { body: [...frames, chatChunk({}, 'stop'), ...last, done] }
}

const bodyOf = ({ body }: Script): object => JSON.parse(body as string) as object

interface Asking {
  readonly program: Program
  readonly reading: Reading
  readonly keys: Readonly<Record<Asked['as'], string>>
}

/** Sends a request, and disconnects if requested; resolves at the end of the response. */
async function ask({ program, reading, keys }: Asking, id: string, one: Asked): Promise<void> {
  const caller = new AbortController()
  const [path, fields] = requestFor(one)
  reading.arrived = Promise.withResolvers()
  reading.begun = Promise.withResolvers()
  const asking = fetch(`${program.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${keys[one.as]}`, 'x-request-id': id },
    body: JSON.stringify(fields),
    signal: caller.signal,
  })
  if (one.kind === 'left early') {
    await reading.arrived.promise
    caller.abort()
    expect(await failureOf(asking)).toMatchObject({ name: 'AbortError' })
    return
  }
  const reader = (await asking).body?.getReader()
  await reader?.read()
  reading.begun.resolve()
  if (one.kind === 'left') caller.abort()
  else while ((await reader?.read())?.done === false);
}

function requestFor(one: Asked): [path: string, fields: object] {
  const { kind, provider, model } = one
  const said = JSON.stringify(one)
  if (kind === 'vectors') return ['embeddings', { model: `${provider}/vectors`, input: said }]
  const stream = ['stream', 'untold stream', 'cut', 'left'].includes(kind)
  return ['chat/completions', { model: `${provider}/${model}`, stream, messages: [{ role: 'user', content: said }] }]
}

interface Line {
  readonly request_id: string
  readonly provider: string
  readonly model: string
  readonly principal: string
  readonly estimated: number
  readonly cost: number | null
}

/** The ledger itself, by the database and nothing of ours. */
function ledgerOf({ folder }: Program): Line[] {
  using database = new Database(join(folder, 'corral.db'), { readonly: true })
  return database.query<Line, []>('select request_id, provider, model, principal, estimated, cost_nano_dollars as cost from ledger').all()
}

const nano = (dollars: unknown): number | null => (typeof dollars === 'number' ? Math.round(dollars * 1e9) : null)

/** What is printed of so many billionths has them all: nothing is lost between a whole number and a decimal one. */
const exactly = (dollars: unknown): boolean => typeof dollars !== 'number' || dollars === Math.round(dollars * 1e9) / 1e9

function sums(lines: readonly Line[], by: (line: Line) => string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const line of lines) found[by(line)] = (found[by(line)] ?? 0) + (line.cost ?? 0)
  return Object.fromEntries(Object.entries(found).filter(([, cost]) => cost > 0))
}

async function start(upstream: MockUpstream): Promise<Program> {
  const config = { base_url: `${upstream.url}/v1`, api_key: 'key-of-the-operator' }
  const program = await startProgram({
    providers: ['east', 'west'].map((id) => ({ provider_id: id, provider_type: 'remote::openai-compatible', config })),
    server: { auth: { provider_config: { type: 'api_key' } }, quota: { ledger: true, prices } },
    telemetry: { store: { enabled: true } },
    env: { OTEL_BSP_SCHEDULE_DELAY: '20' },
  })
  await program.until(() => program.log.filter(({ msg }) => msg === 'models listed').length === 2)
  return program
}

async function newKey(program: Program, name: string): Promise<string> {
  return (
    await command(
      program,
      'keys',
      'create',
      '--name',
      name,
      '--as',
      name,
      '--attribute',
      `teams=${name}s`,
      '--attribute',
      'scopes=telemetry.read',
    )
  ).stdout.trim()
}

const command = ({ folder }: Program, ...given: string[]) =>
  inProcess([...given, '--config', join(folder, 'run.yaml')], { env: { CORRAL_HOME: folder } })

interface Usage {
  readonly data: readonly { readonly of: string | null; readonly cost_usd: number; readonly cost_nano_dollars: number }[]
  readonly total: { readonly responses: number; readonly cost_usd: number; readonly cost_nano_dollars: number }
}

async function usageBy(program: Program, by: string): Promise<Usage> {
  return JSON.parse((await command(program, 'usage', '--by', by, '--json')).stdout) as Usage
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** What `/metrics` counts for each model, in billionths, once it counts so many responses. */
async function metricsOf({ url }: Program, { token, replies }: { token: string; replies: number }): Promise<Record<string, number>> {
  for (;;) {
    const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })
    const families = parseText(await response.text())
    const reported = valuesOf(families, 'gen_ai_client_operation_duration_seconds_count').reduce((sum, count) => sum + count, 0)
    const samples = families.get('corral_cost_USD_total')?.samples ?? []
    const costs = samples.map(
      ({ labels, value }) => [`${labels['corral_provider']}/${labels['gen_ai_request_model']}`, nano(value) ?? 0] as const,
    )
    if (reported === replies) return Object.fromEntries(costs.filter(([, cost]) => cost > 0))
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

interface Shown {
  readonly requests: readonly { readonly cost_usd: number | null }[]
  readonly spans: readonly { readonly kind: string; readonly attributes: Readonly<Record<string, unknown>> }[]
}

test('[MET-9] access lines, spans, the metric and corral usage say what the ledger says', async () => {
  await using upstream = await mockUpstream()
  const reading: Reading = { arrived: Promise.withResolvers(), begun: Promise.withResolvers() }
  upstream.respond((request) => reply(request, reading))
  await using program = await start(upstream)
  const keys = { ada: await newKey(program, 'ada'), bob: await newKey(program, 'bob') }
  // Each kind with each model at least once, and others as they come.
  const matrix = fc.sample(asked, { numRuns: 40, seed: 7 })
  const kinds: readonly Kind[] = ['whole', 'untold', 'stream', 'untold stream', 'cut', 'left', 'left early', 'error', 'vectors']
  const every = kinds.flatMap((kind) =>
    (['east', 'west'] as const).flatMap((provider) => (['small', 'large'] as const).map((model) => ({ kind, provider, model }))),
  )
  const all = [...matrix, ...every.map((fixed, at) => ({ ...(matrix[at % matrix.length] as Asked), ...fixed }))]
  for (const [at, one] of all.entries()) await ask({ program, reading, keys }, `cost-${at}`, one)

  const charged = all.filter(({ kind }) => kind !== 'error').length
  await until(() => ledgerOf(program).length >= charged)
  const ledger = ledgerOf(program)
  expect(ledger).toHaveLength(charged)
  const costs = new Map(ledger.map(({ request_id: id, cost }) => [id, cost]))
  const total = ledger.reduce((sum, { cost }) => sum + (cost ?? 0), 0)
  expect(total).toBeGreaterThan(1_000_000)
  expect(new Set(ledger.map(({ cost }) => (cost === null ? 'none' : cost % 1000 === 0 ? 'round' : 'odd')))).toContain('none')
  expect(ledger.some(({ estimated }) => estimated === 1)).toBe(true)

  const lines = () => program.log.filter(({ msg, request_id: id }) => msg === 'request' && String(id).startsWith('cost-'))
  await program.until(() => lines().length === all.length)
  expect(lines().map(({ request_id: id, cost_usd: cost }) => [id, nano(cost)])).toEqual(
    lines().map(({ request_id: id }) => [id, costs.get(String(id)) ?? null]),
  )
  expect(lines().every(({ cost_usd: cost }) => exactly(cost))).toBe(true)

  const traces = async () =>
    (await command(program, 'traces', '--json', '-n', '1000')).stdout.split('\n').filter((line) => line.includes('"cost-'))
  await until(async () => (await traces()).length === all.length)
  for (const line of await traces()) {
    const { request_id: id, trace_id: trace } = JSON.parse(line) as { request_id: string; trace_id: string }
    const { requests, spans } = JSON.parse((await command(program, 'traces', 'show', trace, '--json')).stdout) as Shown
    const reported = spans.map(({ kind, attributes }) => [kind, nano(attributes['corral.cost_usd'])])
    const cost = costs.get(id) ?? null
    expect([id, nano(requests[0]?.cost_usd), reported.toSorted(([a], [b]) => String(a).localeCompare(String(b)))]).toEqual([
      id,
      cost,
      [
        ['client', cost],
        ['server', cost],
      ],
    ])
  }

  const counted = await metricsOf(program, { token: keys.ada, replies: all.length })
  expect(counted).toEqual(sums(ledger, ({ model }) => model))

  for (const [by, of] of [
    ['model', ({ model }: Line) => model],
    ['provider', ({ provider }: Line) => provider],
    ['user', ({ principal }: Line) => principal],
    ['team', ({ principal }: Line) => `${principal}s`],
  ] as const) {
    const { data, total: whole } = await usageBy(program, by)
    expect([by, whole.cost_nano_dollars, nano(whole.cost_usd), whole.responses]).toEqual([by, total, total, charged])
    const priced = data.filter(({ cost_nano_dollars: cost }) => cost > 0)
    expect(Object.fromEntries(priced.map(({ of: name, cost_nano_dollars: cost }) => [name, cost]))).toEqual(sums(ledger, of))
    expect(data.every((row) => nano(row.cost_usd) === row.cost_nano_dollars)).toBe(true)
  }
})
