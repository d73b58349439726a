import { type CommandContext, defineCommand, jsonOption, type CommandOutput } from './command.ts'
import { sourceArgument } from './config-options.ts'
import { printable } from './printable.ts'
import type { ClockReading, DoctorFinding, FindingState } from './doctor/check.ts'

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Diagnose problems of the server and its environment',
  description:
    'Checks versions, the configuration, the port, disk space and file modes, the database, the quota store, the trace store, collectors, identity services, providers and their keys (with a cheap request), model files and the clock, and suggests a remedy for each problem. Changes nothing. Exits with 1 if a check fails; warnings do not change the exit code.',
  arguments: [sourceArgument],
  options: { json: jsonOption },
  examples: [
    ['Check this environment', 'corral doctor'],
    ['Check a file before it is deployed', 'corral doctor groq.yaml'],
    ['For scripts', `corral doctor --json | jq -r '.findings[] | select(.state == "failed") | .message'`],
  ],
  async run({ args: [source], options }, context) {
    const found = await runChecks(source, context)
    const sound = !found.some(({ state }) => state === 'failed')
    if (options.json) context.stdout.write(`${JSON.stringify({ ok: sound, findings: found })}\n`)
    else context.stdout.write(asText(found, context))
    return sound ? 0 : 1
  },
})

async function runChecks(source: string | undefined, context: CommandContext): Promise<DoctorFinding[]> {
  const [{ load }, { ConfigErrors }, { loadFailures: configurationFails }] = await Promise.all([
    import('./configuration.ts'),
    import('../config/report.ts'),
    import('./doctor/configuration.ts'),
  ])
  const { signal } = context
  const loaded = await load({ source }, context).catch((error: unknown) => {
    if (error instanceof ConfigErrors) return error
    throw error
  })
  if (loaded instanceof ConfigErrors) return configurationFails(loaded)
  const [{ createEgress }, { watchClocks }, { findings }] = await Promise.all([
    import('../egress/egress.ts'),
    import('./doctor/clock.ts'),
    import('./doctor/checks.ts'),
  ])
  const clocks: ClockReading[] = []
  const egress = watchClocks(createEgress(loaded.config.egress), clocks)
  return await findings({ loaded, egress, clocks, signal })
}

function mark(state: FindingState, stdout: CommandOutput): string {
  if (state === 'ok') return stdout.green('✓')
  return state === 'warning' ? stdout.yellow('!') : stdout.red('✗')
}

/** One line a finding, and under what is not well what to do. */
function asText(found: readonly DoctorFinding[], { stdout }: CommandContext): string {
  const lines = found.flatMap(({ state, subject, message, remedy }) => [
    `${mark(state, stdout)} ${stdout.bold(printable(subject))}: ${printable(message)}\n`,
    ...(remedy === undefined ? [] : [`    ${stdout.dim(printable(remedy))}\n`]),
  ])
  return lines.join('')
}
