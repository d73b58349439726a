/** One metric of a text in Prometheus' format. */
export interface ParsedFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly unit?: string
  readonly samples: readonly ParsedSample[]
}

interface ParsedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const labelPair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|[+-]Inf|NaN)$/
const types = new Set(['counter', 'gauge', 'histogram', 'info'])

/**
 * Reads Prometheus' text format 0.0.4 or OpenMetrics 1.0 as strictly as the specifications say, and throws at whatever they forbid: a sample outside of its family, the same
 * series twice, buckets that fall or end without +Inf, a count that is not the last bucket's, a unit that does not end the name, a counter below 0.
 */
export function parseText(text: string, format: 'prometheus' | 'openmetrics' = 'prometheus'): Map<string, ParsedFamily> {
  if (!text.endsWith('\n')) throw new Error('The text does not end with a line feed.')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('OpenMetrics ends with # EOF.')
  const families = new Map<string, Mutable>()
  let current: Mutable | undefined
  for (const line of lines) {
    const meta = /^# (HELP|TYPE|UNIT) (\S+) (.*)$/.exec(line)
    if (meta) {
      const [, kind, name = '', rest = ''] = meta
      if (!metricName.test(name)) throw new Error(`No name: ${line}`)
      if (current?.name !== name) {
        if (families.has(name)) throw new Error(`Twice: ${name}`)
        current = { name, type: '', help: '', samples: [] }
        families.set(name, current)
      }
      if (current.samples.length > 0) throw new Error(`Metadata after samples: ${line}`)
      if (kind === 'HELP') current.help = rest
      else if (kind === 'UNIT') current.unit = rest
      else current.type = rest
      if (kind === 'TYPE' && !types.has(rest)) throw new Error(`No type: ${line}`)
      continue
    }
    const match = sampleLine.exec(line)
    if (!match || !current) throw new Error(`No sample: ${line}`)
    const [, name = '', pairs = '', value = ''] = match
    if (!suffixesOf(current.type, format).some((suffix) => name === `${current?.name}${suffix}`)) throw new Error(`Of no family: ${line}`)
    current.samples.push({ name, labels: parseLabels(pairs, line), value: toNumber(value) })
  }
  for (const family of families.values()) check(family, format)
  return families
}

type Mutable = { name: string; type: string; help: string; unit?: string; samples: ParsedSample[] }

function suffixesOf(type: string, format: string): string[] {
  if (type === 'histogram') return ['_bucket', '_sum', '_count']
  if (format === 'prometheus') return ['']
  return type === 'counter' ? ['_total'] : type === 'info' ? ['_info'] : ['']
}

function parseLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const [whole, name, value] = labelPair.exec(rest) ?? []
    if (whole === undefined || name === undefined || value === undefined) throw new Error(`Bad labels: ${line}`)
    if (name in labels) throw new Error(`A label twice: ${line}`)
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    rest = rest.slice(whole.length)
    if (whole.endsWith(',') && rest === '') throw new Error(`A comma too many: ${line}`)
  }
  return labels
}

function toNumber(text: string): number {
  return text.endsWith('Inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
}

function check({ name, type, help, unit, samples }: Mutable, format: string): void {
  if (type === '' || help === '') throw new Error(`Without type or help: ${name}`)
  if (samples.length === 0) throw new Error(`Without samples: ${name}`)
  if (unit !== undefined && !name.endsWith(`_${unit}`)) throw new Error(`The unit ${unit} does not end ${name}`)
  if (format === 'openmetrics' && type === 'counter' && name.endsWith('_total')) throw new Error(`A family called _total: ${name}`)
  if (format === 'prometheus' && type === 'counter' && !name.endsWith('_total')) throw new Error(`A counter without _total: ${name}`)
  const seen = new Set<string>()
  for (const sample of samples) {
    const key = `${sample.name} ${JSON.stringify(sorted(sample.labels))}`
    if (seen.has(key)) throw new Error(`Twice: ${key}`)
    seen.add(key)
    if (type === 'counter' && !(sample.value >= 0)) throw new Error(`A counter below 0: ${key}`)
  }
  if (type === 'histogram') checkHistograms(name, samples, format)
}

function checkHistograms(name: string, samples: readonly ParsedSample[], format: string): void {
  const sets = new Map<string, ParsedSample[]>()
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels
    const key = JSON.stringify(sorted(labels))
    sets.set(key, [...(sets.get(key) ?? []), sample])
  }
  for (const [key, set] of sets) {
    const buckets = set.filter((sample) => sample.name === `${name}_bucket`)
    const counts = set.filter((sample) => sample.name === `${name}_count`)
    if (counts.length !== 1 || set.filter((sample) => sample.name === `${name}_sum`).length !== 1)
      throw new Error(`Not one sum and count: ${name} ${key}`)
    const limits = buckets.map(({ labels }) => toNumber(labels['le'] ?? ''))
    if (limits.at(-1) !== Infinity) throw new Error(`Without +Inf: ${name} ${key}`)
    if (limits.some((limit, at) => at > 0 && !(limit > (limits[at - 1] as number)))) throw new Error(`Buckets out of order: ${name} ${key}`)
    if (buckets.some(({ value }, at) => at > 0 && value < (buckets[at - 1] as ParsedSample).value))
      throw new Error(`Buckets that fall: ${name} ${key}`)
    if (buckets.at(-1)?.value !== counts[0]?.value) throw new Error(`The count is not the last bucket: ${name} ${key}`)
    if (format === 'openmetrics' && buckets.some(({ labels }) => !/^(\+Inf|\d+\.\d+)$/.test(labels['le'] ?? '')))
      throw new Error(`le is no float: ${name}`)
  }
}

/** The values of one sample name whose labels include `labels`. */
export function valuesOf(families: Map<string, ParsedFamily>, name: string, labels: Readonly<Record<string, string>> = {}): number[] {
  return [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name && Object.entries(labels).every(([label, value]) => (sample.labels[label] ?? '') === value))
    .map(({ value }) => value)
}

function sorted(labels: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
}
