import { setImmediate as breathe } from 'node:timers/promises'
import type { AccessPolicy, Decision, Resource } from '../../access/policy.ts'
import { denialOf, notVisible } from '../../access/refusal.ts'
import type { Call } from '../../call.ts'
import type { Denial } from '../../errors.ts'
import type { StoredTrace, TraceFilter, TraceStore } from '../../telemetry/store/reader.ts'

/** Which traces a caller may read: its own, and others' as the access policy permits. */
export class ReadableTraces {
  readonly #store: TraceStore
  readonly #policy: AccessPolicy
  readonly #call: Call

  constructor(store: TraceStore, policy: AccessPolicy, call: Call) {
    this.#store = store
    this.#policy = policy
    this.#call = call
  }

  /** Every row of a trace that the caller may read. Throws ApiError 404 where there is none. */
  ofTrace(traceId: string): StoredTrace[] {
    return this.#visible('Trace', traceId, this.#store.byTraceId(traceId))
  }

  /** The same by a span's id. */
  ofSpan(spanId: string): StoredTrace[] {
    return this.#visible('Span', spanId, this.#store.bySpanId(spanId))
  }

  /** All that the caller may read, without holding up what else is served. Throws what the signal aborts with. */
  async *all(filter: TraceFilter & { readonly order: 'newest' | 'oldest' }): AsyncGenerator<StoredTrace> {
    let after: StoredTrace | undefined
    for (;;) {
      const batch = this.#store.list({ ...filter, after, limit: batchSize })
      for (const row of batch) if (this.#decide(row).allowed) yield row
      after = batch.at(-1)
      if (batch.length < batchSize) return
      await breathe(undefined, { signal: this.#call.signal })
    }
  }

  #visible(kind: string, id: string, rows: readonly StoredTrace[]): StoredTrace[] {
    let denial: Denial | undefined
    const visible = rows.filter((row) => {
      const decision = this.#decide(row)
      if (!decision.allowed) denial ??= denialOf(decision, 'read', resourceOf(row))
      return decision.allowed
    })
    if (visible.length === 0) throw notVisible(kind, id, denial)
    return visible
  }

  /** Traces of unauthenticated requests (a rejected credential, for example) have no owner: reading them requires a rule. */
  #decide(row: StoredTrace): Decision {
    const { principal } = this.#call
    const decision = this.#policy.decide({ principal, action: 'read', resource: resourceOf(row) })
    if (!principal || row.principal !== null || decision.explicit) return decision
    return { allowed: false, explicit: false, reason: 'it has no owner, and no rule of access_policy permits it' }
  }
}

/** Rows between which others get their turn. */
const batchSize = 200

function resourceOf({ traceId, principal, principalAttributes }: StoredTrace): Resource {
  return {
    type: 'trace',
    id: traceId,
    ...(principal !== null && { owner: { id: principal, attributes: principalAttributes } }),
  }
}
