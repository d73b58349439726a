import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { root } from './source.ts'

interface Row {
  readonly section: string
  readonly cells: readonly string[]
}

const rows = readRows(readFileSync(join(root, 'docs/threat-model.md'), 'utf8'))

/** The rows of every table, without heads. */
function readRows(text: string): Row[] {
  let section = ''
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('## ')) section = line.slice(3)
    if (!line.startsWith('| ') || /^\| (?:threat|incident|guarantee) \|/.test(line)) return []
    return [
      {
        section,
        cells: line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      },
    ]
  })
}

/** `file` › title, as often as there are. */
function proofsOf({ cells }: Row): { file: string; title: string }[] {
  return cells.flatMap((cell) =>
    cell.split('<br>').flatMap((part) => {
      const [, file, title] = /^`([^`]+\.test\.ts)` › (.+)$/.exec(part.trim()) ?? []
      return file && title ? [{ file, title }] : []
    }),
  )
}

/** The first column of a section's table. */
const firstCells = (section: string): string[] =>
  rows.filter((row) => row.section === section).map(({ cells }) => (cells[0] ?? '').replaceAll("'", '’'))

const isUnsupported = ({ cells }: Row): boolean => cells.some((cell) => cell.startsWith('Not supported yet: '))

/** The test's own file, and the data beside it that some titles are made of. */
function textsBeside(file: string): string {
  const folder = join(root, dirname(file))
  return [
    readFileSync(join(root, file), 'utf8'),
    ...readdirSync(folder)
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  ].join('\n')
}

describe('docs/threat-model.md', () => {
  test('every row has a test, or says what is not supported yet', () => {
    expect(rows.length).toBeGreaterThan(70)
    expect(rows.filter((row) => proofsOf(row).length === 0 && !isUnsupported(row)).map(({ cells }) => cells[0])).toEqual([])
  })

  test('every test that it names is there', () => {
    const gone = rows
      .flatMap(proofsOf)
      .filter(({ file, title }) => !existsSync(join(root, file)) || !textsBeside(file).replaceAll("\\'", "'").includes(title))
    expect(gone).toEqual([])
  })

  test('every known incident and every guarantee has its row', () => {
    const incidents = [
      'PyPI',
      'CVE-2026-42208',
      'CVE-2026-42271',
      'CVE-2026-48710',
      'CVE-2026-35030',
      'CVE-2026-12796',
      'CVE-2025-66405',
      '#6287',
      'CVE-2026-45400',
      'CVE-2026-45350',
      'CVE-2026-45349',
      'CVE-2026-45339',
      'CVE-2024-50050',
      'MCP: ',
      'Semantic caches',
      'ReDoS',
      'identity headers',
      'bifrost#518',
    ]
    const guarantees = [
      'unauthenticated route',
      'public address',
      'SQL',
      'guard',
      'operators’ keys',
      'printed',
      'constant time',
      'limits on',
      'linear',
      'tenants',
      'command',
      'tool definitions',
      'audit log',
      'provenance',
    ]
    expect(incidents.filter((name) => !firstCells('Incidents in other gateways').some((text) => text.includes(name)))).toEqual([])
    expect(guarantees.filter((name) => !firstCells('Guarantees').some((text) => text.includes(name)))).toEqual([])
  })
})
