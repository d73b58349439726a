import { setTimeout as wait } from 'node:timers/promises'
import type { StoredTrace } from '../telemetry/store/reader.ts'
import { type CommandContext, defineCommand, interruptedCode } from './command.ts'
import { openStore, traceJson, traceStoreOf, tracesConfigOption } from './traces-store.ts'
import { traceLine } from './traces-text.ts'

/** Milliseconds between two looks. */
const interval = 300

/** Traces read at once. */
const batch = 500

const defaultLimit = 10

export const tracesTail = defineCommand({
  name: 'traces tail',
  summary: 'Follow requests as they are stored',
  description:
    'Shows the latest requests and then new ones until interrupted. Servers store a request within two seconds of its end. Times are UTC.',
  options: {
    failed: { type: 'boolean', description: 'only requests that were denied, aborted or failed' },
    lines: { type: 'integer', value: 'N', short: 'n', description: `number of earlier requests to show first; default ${defaultLimit}` },
    config: tracesConfigOption,
    json: { type: 'boolean', description: 'print one JSON object per line' },
  },
  examples: [
    ['Follow failed requests', 'corral traces tail --failed'],
    ['For scripts', 'corral traces tail --json -n 0'],
  ],
  async run({ options }, context) {
    const { failed, lines = defaultLimit, json } = options
    const config = await traceStoreOf(options.config, context)
    const { stdout, stderr, signal } = context
    const show = (trace: StoredTrace): void => {
      if (failed && !trace.failed) return
      stdout.write(json ? `${JSON.stringify(traceJson(trace))}\n` : traceLine(trace, stdout))
    }
    let last: number | undefined
    {
      using store = await openStore(config)
      if (store) last = store.lastId()
      else stderr.write(`No traces in ${config.path} yet; waiting for the first.\n`)
      const latest = store?.list({ limit: lines, ...(failed && { failed: true }) }) ?? []
      for (const trace of latest.toReversed()) show(trace)
    }
    while (!stdout.readerGone && (await waitUnlessAborted(signal))) {
      // Opened each time: the file may be removed and recreated.
      using store = await openStore(config)
      const newest = store?.lastId() ?? 0
      if (last === undefined || newest < last) last = 0
      for (let more = store && newest > last; more;) {
        const traces: readonly StoredTrace[] = store?.writtenAfter(last, batch) ?? []
        for (const trace of traces) show(trace)
        last = traces.at(-1)?.id ?? last
        more = traces.length === batch
      }
    }
    return stdout.readerGone ? 0 : interruptedCode(signal)
  },
})

async function waitUnlessAborted(signal: CommandContext['signal']): Promise<boolean> {
  try {
    await wait(interval, undefined, { signal })
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}
