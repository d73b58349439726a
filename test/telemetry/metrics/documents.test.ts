import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { definitionsOf } from '../../../src/telemetry/metrics/definitions.ts'
import { labelName, prometheusName, toText } from '../../../src/telemetry/metrics/prometheus.ts'
import type { MetricDefinition } from '../../../src/telemetry/metrics/instruments.ts'
import { everything } from './everything.ts'
import { parseText } from './parse-text.ts'

const read = (path: string) => readFileSync(new URL(`../../../docs/${path}`, import.meta.url), 'utf8')

/** A line of the documentation's tables as the code would write it. */
function rowOf(definition: MetricDefinition): string {
  const { name, kind, unit, labels, description } = definition
  const attributes = labels.map((label) => `\`${label}\``).join(' ') || '–'
  return `| \`${name}\` | \`${prometheusName(definition)}${kind === 'counter' ? '_total' : ''}\` | ${kind} | \`${unit}\` | ${attributes} | ${description} |`
}

test('[MET-8] the documentation has every metric of both conventions, with unit, attributes and meaning, and no other', () => {
  const rows = new Set([...definitionsOf('v1_41'), ...definitionsOf('latest')].map(rowOf))
  const written = read('metrics.md')
    .split('\n')
    .filter((line) => /^\| `(?:gen_ai|http|corral|process|nodejs)[\w.]*` \| `\w+` \|/.test(line))
  expect(written.toSorted()).toEqual([...rows].toSorted())
})

test('[MET-1] both formats hold for every metric of both conventions', () => {
  for (const conventions of ['v1_41', 'latest'] as const) {
    const definitions = definitionsOf(conventions)
    for (const format of ['prometheus', 'openmetrics'] as const) {
      const text = toText(everything(definitions), definitions, { format, info: { 'service.name': 'a "b"\\\n' } })
      expect(parseText(text, format).size).toBe(definitions.length + 1)
    }
  }
})

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly query: unknown }[] }
  readonly panels: readonly {
    readonly title: string
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  }[]
}

/** PromQL's words, and what Grafana fills in. */
const words = new Set('sum min max by le rate histogram_quantile label_values some __rate_interval model output_tokens'.split(' '))

test('[MET-8] every metric and label that the dashboard names is on /metrics', () => {
  const definitions = definitionsOf('v1_41')
  const families = parseText(toText(everything(definitions), definitions, { format: 'prometheus', info: { a: 'b' } }))
  const labelsOf = new Map(
    [...families.values()].flatMap(({ samples }) => samples.map(({ name, labels }) => [name, Object.keys(labels)] as const)),
  )
  const { panels, templating } = JSON.parse(read('grafana/corral.json')) as Dashboard
  const targets = panels.flatMap(({ targets: some = [] }) => some)
  const queries = templating.list.flatMap(({ query }) =>
    typeof query === 'object' ? [{ expr: (query as { query: string }).query, legendFormat: '' }] : [],
  )
  expect(targets.length).toBeGreaterThan(25)
  const unknown: string[] = []
  for (const { expr, legendFormat } of [...targets, ...queries]) {
    const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label as string)
    const names = [...expr.replaceAll(/"[^"]*"/g, '').matchAll(/[a-zA-Z_]\w+/g)].map(([name]) => name).concat(legend)
    const metrics = names.filter((name) => labelsOf.has(name))
    const labels = new Set(metrics.flatMap((name) => labelsOf.get(name) ?? []))
    if (metrics.length === 0) unknown.push(expr)
    unknown.push(
      ...names.filter((name) => !labelsOf.has(name) && !labels.has(name) && !words.has(name)).map((name) => `${name} in ${expr}`),
    )
  }
  expect(unknown).toEqual([])
  // Most of what is measured can be seen.
  const text = JSON.stringify(targets)
  const unseen = definitions.filter((definition) => !text.includes(prometheusName(definition))).map(({ name }) => name)
  expect(unseen.filter((name) => !name.startsWith('gen_ai.client.'))).toEqual([])
  expect(labelName('gen_ai.request.model')).toBe('gen_ai_request_model')
})
