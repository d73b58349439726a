import type { UsageGroup, UsageSum } from '../quota/ledger-usage.ts'
import { defineCommand, jsonOption, usageError } from './command.ts'
import { printableName } from './printable.ts'
import { recordsOption, withRecords } from './storage-records.ts'
import { table } from './table.ts'
import { readTime } from './times.ts'

const groups = ['key', 'user', 'team', 'model', 'provider'] as const satisfies readonly UsageGroup[]

export const usage = defineCommand({
  name: 'usage',
  summary: 'Show usage and cost',
  description:
    'Sums the usage ledger by key, user, team, model or provider. Each entry counts once; a user of several teams is counted under the combination of them.',
  options: {
    by: { type: 'string', value: 'WHAT', choices: groups, description: 'what to group by; default user' },
    since: { type: 'string', value: 'TIME', description: 'start time: 2026-11-01, 2026-11-01T08:00Z, or 1y, 30d, 24h, 30m ago' },
    until: { type: 'string', value: 'TIME', description: 'end time' },
    config: recordsOption,
    json: jsonOption,
    csv: { type: 'boolean', description: 'print comma-separated values' },
  },
  examples: [
    ['Usage by team in a month', 'corral usage --by team --since 2026-11-01'],
    ['The last day by model, as CSV', 'corral usage --by model --since 24h --csv'],
    ['The total cost', "corral usage --json | jq '.total.cost_usd'"],
  ],
  async run({ options }, context) {
    const { stdout } = context
    const { json, csv, by = 'user' } = options
    if (json && csv) throw usageError('--json and --csv are mutually exclusive.')
    const query = { by: by as UsageGroup, since: readTime('since', options.since), until: readTime('until', options.until) }
    await withRecords(options.config, context, async (records) => {
      const [{ openDatabase }, { sumOf, usageOf }] = await Promise.all([import('../storage/open.ts'), import('../quota/ledger-usage.ts')])
      await using database = await openDatabase(records)
      const sums = await usageOf(database, query)
      const total = sumOf(sums, null)
      if (json) stdout.write(`${JSON.stringify({ by, data: sums.map(toJson), total: toJson(total) })}\n`)
      else if (csv) stdout.write([csvHead(by), ...sums.map(csvLine)].map((line) => `${line}\r\n`).join(''))
      else {
        const digits = digitsOf([...sums, total])
        const rows = sums.map((sum) => cells(sum, printableName(sum.of ?? '(none)'), digits))
        stdout.write(table(stdout, head(by), [...rows, cells(total, 'total', digits)]))
      }
    })
  },
})

function toJson(sum: UsageSum) {
  return {
    of: sum.of,
    responses: sum.responses,
    input_tokens: sum.inputTokens,
    output_tokens: sum.outputTokens,
    cached_input_tokens: sum.cachedInputTokens,
    reasoning_tokens: sum.reasoningTokens,
    cost_usd: sum.costNanoDollars / 1e9,
    cost_nano_dollars: sum.costNanoDollars,
    estimated_responses: sum.estimated,
    unpriced_responses: sum.unpriced,
  }
}

function head(by: string): string[] {
  return [by.toUpperCase(), 'RESPONSES', 'INPUT', 'CACHED', 'OUTPUT', 'REASONING', 'COST', 'NOTES']
}

/** Decimals of dollars that all costs are printed with: as many as it takes for none to be rounded, so that what is printed adds up. */
function digitsOf(sums: readonly UsageSum[]): number {
  let digits = 6
  while (digits < 9 && sums.some(({ costNanoDollars }) => costNanoDollars % 10 ** (9 - digits) !== 0)) digits++
  return digits
}

function cells(sum: UsageSum, name: string, digits: number): string[] {
  const notes = [sum.estimated > 0 && `${sum.estimated} estimated`, sum.unpriced > 0 && `${sum.unpriced} without a price`]
  return [
    name,
    String(sum.responses),
    String(sum.inputTokens),
    String(sum.cachedInputTokens),
    String(sum.outputTokens),
    String(sum.reasoningTokens),
    `$${inDollars(sum.costNanoDollars).slice(0, digits - 9 || undefined)}`,
    notes.filter((note) => note !== false).join(', '),
  ]
}

/** With nine decimals, exactly. */
function inDollars(nano: number): string {
  const digits = String(nano).padStart(10, '0')
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`
}

function csvHead(by: string): string {
  return [by, ...Object.keys(toJson(emptySum)).filter((name) => name !== 'of' && name !== 'cost_nano_dollars')].join(',')
}

function csvLine(sum: UsageSum): string {
  const { of, cost_nano_dollars: nano, ...rest } = toJson(sum)
  return [quoted(of ?? ''), ...Object.values({ ...rest, cost_usd: inDollars(nano) })].join(',')
}

/** RFC 4180; and no spreadsheet takes a name for a formula. */
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

const emptySum: UsageSum = {
  of: null,
  responses: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  reasoningTokens: 0,
  costNanoDollars: 0,
  estimated: 0,
  unpriced: 0,
}
