import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Call, Principal } from '../../src/call.ts'
import { ApiError } from '../../src/errors.ts'
import { chat } from '../../src/operations/chat.ts'
import { createGovernance } from '../../src/quota/create-governance.ts'
import { maxTokensOf } from '../../src/quota/estimate.ts'
import type { AdmittedInference, Governance, InferenceEnd } from '../../src/quota/governance.ts'
import type { LedgerEntry } from '../../src/quota/ledger.ts'
import { systemClock } from '../../src/quota/limiter-clock.ts'
import { createLimiter } from '../../src/quota/limiter.ts'
import { createPrices } from '../../src/quota/prices.ts'
import { quotaSchema, toQuotaConfig } from '../../src/quota/schema.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { noon } from './quota-server.ts'
import { runs } from '../../src/testing/sizes.ts'

// $1 and $2 a million: 1000 and 2000 billionths a token.
const cost = (input: number, output: number): number => 1000 * input + 2000 * output
const limits = { tokens: 3000, nanoDollars: 4_000_000, requests: 12, running: 4, team: 4000 }
const quota = {
  limits: [
    { total_tokens: limits.tokens, period: 'minute' },
    { dollars: limits.nanoDollars / 1e9, period: 'minute' },
    { requests: limits.requests, period: 'minute', models: '*' },
    { concurrent_requests: limits.running, models: '*' },
    { total_tokens: limits.team, period: 'minute', per: 'team' },
  ],
  prices: [{ model: '*', input_per_million: 1, output_per_million: 2 }],
}
const users: readonly Principal[] = [
  { id: 'alice', attributes: { teams: ['red'] } },
  { id: 'bob', attributes: { teams: ['red'] } },
  { id: 'carol', attributes: { teams: ['blue'] } },
]

type Step =
  | { do: 'ask'; user: number; length: number; max: number }
  | { do: 'end'; which: number; outcome: InferenceEnd['outcome']; input: number; output: number; reported: boolean; came: number }
  | { do: 'wait'; milliseconds: number }

const share = fc.double({ min: 0, max: 1, noNaN: true })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('ask' as const), user: fc.nat(2), length: fc.nat(400), max: fc.integer({ min: 1, max: 800 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(20),
      outcome: fc.constantFrom('completed', 'failed', 'cancelled', 'truncated'),
      input: share,
      output: share,
      reported: fc.boolean(),
      came: share,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), milliseconds: fc.integer({ min: 1, max: 50_000 }) }) },
)

interface RunningInference {
  readonly user: Principal
  readonly input: number
  readonly output: number
  readonly minute: number
  readonly admitted: AdmittedInference
  readonly call: Call
}

interface Taken {
  tokens: number
  nanoDollars: number
  requests: number
}

class World {
  now = noon
  readonly lines: LedgerEntry[] = []
  readonly governance: Governance
  running: RunningInference[] = []
  /** What was used, and what runs, by user or team and minute: what the limits should count. */
  readonly taken = new Map<string, Taken>()
  readonly used = { tokens: 0, nanoDollars: 0 }

  constructor() {
    const now = (): number => this.now
    const config = toQuotaConfig(quotaSchema.parse(quota))
    this.governance = createGovernance({
      config,
      limiter: createLimiter({ store: createMemoryStore({ now }), failure: 'closed', clock: { ...systemClock, now } }),
      prices: createPrices({ overrides: config.prices ?? [], providers: new Map() }),
      ledger: { record: (entry) => this.lines.push(entry), async flush() {}, async [Symbol.asyncDispose]() {} },
      now,
    })
  }

  of(name: string, minute: number): Taken {
    const key = `${name} ${minute}`
    const found = this.taken.get(key) ?? { tokens: 0, nanoDollars: 0, requests: 0 }
    this.taken.set(key, found)
    return found
  }

  subjects({ id, attributes }: Principal, minute: number): Taken[] {
    return [this.of(id, minute), this.of(`team ${attributes['teams']?.[0]}`, minute)]
  }

  add(user: Principal, minute: number, change: Taken): void {
    for (const taken of this.subjects(user, minute)) {
      taken.tokens += change.tokens
      taken.nanoDollars += change.nanoDollars
      taken.requests += change.requests
    }
  }

  async ask({ user: index, length, max }: Extract<Step, { do: 'ask' }>): Promise<void> {
    const user = users[index] as Principal
    const body = { model: 'm', messages: [{ role: 'user', content: 'x'.repeat(length) }], max_tokens: max }
    const call: Call = {
      requestId: `r${this.lines.length}`,
      signal: new AbortController().signal,
      providerData: {},
      principal: user,
      record: { attempt: { provider: 'up', model: 'm' } },
    }
    const facts = {
      call,
      provider: 'up',
      model: 'up/m',
      upstreamModel: 'm',
      operation: chat,
      format: chat.format,
      body,
      bytes: JSON.stringify(body).length,
    }
    const { input, output } = maxTokensOf(facts, { defaultMaxTokens: 1, inputBytesPerToken: 1 })
    const minute = Math.floor(this.now / 60_000)
    const [own, team] = this.subjects(user, minute) as [Taken, Taken]
    const fits =
      own.tokens + input + output <= limits.tokens &&
      own.nanoDollars + cost(input, output) <= limits.nanoDollars &&
      own.requests + 1 <= limits.requests &&
      team.tokens + input + output <= limits.team &&
      this.running.filter((one) => one.user === user).length < limits.running
    let admitted: AdmittedInference | undefined
    try {
      admitted = await this.governance.admitInference(facts, [])
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 429) throw error
    }
    // Exactly: never above a limit, and never refused while there is room.
    expect(admitted !== undefined).toBe(fits)
    if (!admitted) return
    this.add(user, minute, { tokens: input + output, nanoDollars: cost(input, output), requests: 1 })
    this.running.push({ user, input, output, minute, admitted, call })
  }

  end({ which, outcome, input, output, reported, came }: Extract<Step, { do: 'end' }>): void {
    const reply = this.running[which % Math.max(1, this.running.length)]
    if (!reply) return
    this.running = this.running.filter((one) => one !== reply)
    const usage = { input: Math.floor(input * reply.input), output: Math.floor(output * reply.output) }
    const before = this.lines.length
    reply.admitted.settle({ outcome, usage: reported ? usage : undefined, received: Math.floor(came * reply.output) })
    const line = this.lines[before]
    const used = line
      ? { tokens: line.input_tokens + line.output_tokens, nanoDollars: line.cost_nano_dollars ?? Number.NaN, requests: 1 }
      : nothing
    expect(used.tokens).toBeLessThanOrEqual(reply.input + reply.output)
    if (line) {
      expect(line.cost_nano_dollars).toBe(cost(line.input_tokens, line.output_tokens))
      expect(reply.call.record?.attempt).toMatchObject({
        inputTokens: line.input_tokens,
        outputTokens: line.output_tokens,
        costNanoDollars: line.cost_nano_dollars as number,
      })
      if (reported && outcome === 'completed')
        expect([line.input_tokens, line.output_tokens, line.estimated]).toEqual([usage.input, usage.output, 0])
    }
    this.used.tokens += used.tokens
    this.used.nanoDollars += used.nanoDollars
    this.add(reply.user, reply.minute, {
      tokens: used.tokens - reply.input - reply.output,
      nanoDollars: used.nanoDollars - cost(reply.input, reply.output),
      requests: used.requests - 1,
    })
  }
}

const nothing: Taken = { tokens: 0, nanoDollars: 0, requests: 0 }

test('[QUO-59] any sequence of requests with any usage: limits hold exactly, and the ledger’s sum is what was settled', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), async (steps) => {
      const world = new World()
      for (const one of steps) {
        if (one.do === 'ask') await world.ask(one)
        else if (one.do === 'end') world.end(one)
        else world.now += one.milliseconds
      }
      for (const [name, taken] of world.taken) {
        expect(taken.tokens).toBeLessThanOrEqual(name.startsWith('team') ? limits.team : limits.tokens)
      }
      expect(world.lines.reduce((sum, line) => sum + line.input_tokens + line.output_tokens, 0)).toBe(world.used.tokens)
      expect(world.lines.reduce((sum, line) => sum + (line.cost_nano_dollars ?? 0), 0)).toBe(world.used.nanoDollars)
      await world.governance[Symbol.asyncDispose]()
    }),
    { numRuns: runs(400) },
  )
})
