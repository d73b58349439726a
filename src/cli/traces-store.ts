import type { TraceStoreConfig } from '../telemetry/config.ts'
import type { StoredTrace, TraceStore } from '../telemetry/store/reader.ts'
import { TraceStoreError } from '../telemetry/store/schema.ts'
import { type CommandContext, CommandError, type OptionSpec } from './command.ts'

export const tracesConfigOption = {
  type: 'string',
  value: 'NAME|FILE',
  short: 'c',
  description: 'the configuration of the server; default: as `corral run`',
} as const satisfies OptionSpec

/** Where a configuration keeps traces. Throws CommandError where it keeps none. */
export async function traceStoreOf(source: string | undefined, context: CommandContext): Promise<TraceStoreConfig> {
  const { load, explained } = await import('./configuration.ts')
  const { config } = await load({ source, offline: true }, context).catch((error: unknown) => {
    throw explained(error)
  })
  const store = config.telemetry?.store
  if (store) return store
  throw new CommandError('The trace store is disabled in this configuration.', {
    remedy: 'Set telemetry.store.enabled: true, or pass another configuration with --config.',
  })
}

/** Undefined: nothing is there yet. Throws CommandError where what is there cannot be read. */
export async function openStore({ path }: TraceStoreConfig): Promise<TraceStore | undefined> {
  const { openTraceStore } = await import('../telemetry/store/reader.ts')
  try {
    return await openTraceStore(path)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new CommandError(`The traces in ${path} cannot be read: ${error.message}`, { remedy: storeRemedy(error), cause: error })
  }
}

/** What to do about a store that cannot be opened. */
export function storeRemedy(error: unknown): string {
  if (error instanceof TraceStoreError) return error.remedy
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^SQLITE_(NOTADB|CORRUPT)/.test(code)
    ? 'Move the file away; the server creates a new one within a minute.'
    : 'Run this as the user of the server.'
}

/** A trace as `--json` has it. */
export function traceJson(trace: StoredTrace): object {
  return {
    trace_id: trace.traceId,
    root_span_id: trace.rootSpanId,
    request_id: trace.requestId,
    name: trace.name,
    start: new Date(trace.start).toISOString(),
    duration_ms: tenths(trace.end - trace.start),
    http_status: trace.httpStatus,
    failed: trace.failed,
    error_type: trace.errorType,
    kept: trace.kept,
    route: trace.route,
    model: trace.model,
    provider: trace.provider,
    principal: trace.principal,
    key_id: trace.keyId,
    input_tokens: trace.inputTokens,
    output_tokens: trace.outputTokens,
    cost_usd: trace.costUsd,
  }
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
