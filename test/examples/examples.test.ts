import { describe, expect, test } from 'bun:test'
import { parse } from 'yaml'
import { parseInput } from '../../src/cli/parse.ts'
import { commands } from '../../src/cli/commands.ts'
import { readCases } from '../../src/cli/policy-cases.ts'
import { loadConfig } from '../../src/config/load.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { CleanFolder } from '../whole/clean-folder.ts'
import { commandLines, corralCommands, exemption, fences, type Fence } from './fences.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const isPartOf = (kind: string) => (fence: Fence) => fence.language === 'yaml' && fence.info === kind

describe('YAML examples', () => {
  test.each(fences.filter(isPartOf('')))('[DOC-3] $place loads as a configuration', async ({ text }) => {
    using folder = new CleanFolder()
    const certificate = join(folder.path, 'ca.crt')
    writeFileSync(certificate, makeCertificate({ name: 'authority', authority: true }).cert)
    const placed = text.replaceAll('/var/run/secrets/kubernetes.io/serviceaccount/ca.crt', certificate)
    const whole = /^providers:/m.test(placed) ? placed : `providers: {}\n${placed}`
    const names = [...text.matchAll(/\$\{env\.(\w+)/g)].map(([, name = '']) => [name, 'a-value-of-the-environment'])
    const { warnings } = await loadConfig({ source: whole, env: Object.fromEntries(names), home: '/home/me', cwd: '/nowhere' })
    expect(warnings.map(({ message }) => message).filter((message) => !/no models|no provider/i.test(message))).toEqual([])
  })

  test.each(fences.filter(isPartOf('policy-cases')))('[DOC-3] $place is a file of policy cases', ({ text }) => {
    using folder = new CleanFolder()
    writeFileSync(join(folder.path, 'cases.yaml'), text)
    expect(readCases('cases.yaml', folder.path).length).toBeGreaterThan(1)
  })

  test.each(fences.filter(isPartOf('prometheus')))('[DOC-3] $place is a configuration of Prometheus', ({ text }) => {
    expect(parse(text)).toMatchObject({ scrape_configs: [{ job_name: 'corral' }] })
  })

  test('[DOC-3] every other one says why it is not loaded', () => {
    const known = ['', 'policy-cases', 'prometheus']
    const others = fences.filter(({ language, info }) => language === 'yaml' && !known.includes(info))
    expect(others.filter((fence) => exemption(fence) === undefined).map(({ place }) => place)).toEqual([])
    expect(fences.filter(isPartOf('')).length).toBeGreaterThan(30)
  })
})

describe('command lines', () => {
  const lines = fences.flatMap((fence) =>
    commandLines(fence).flatMap((line) => corralCommands(line).map((words) => ({ place: fence.place, words }))),
  )

  test.each(lines)('[DOC-4] $place: corral $words', ({ words }) => {
    const spellings = commands.flatMap((command) => [command.name, ...command.aliases].map((name) => ({ command, parts: name.split(' ') })))
    const found = spellings
      .filter(({ parts }) => parts.every((part, index) => words[index] === part))
      .toSorted((a, b) => b.parts.length - a.parts.length)[0]
    if (!found) throw new Error(`No command: corral ${words.join(' ')}`)
    expect(parseInput(found.command, words.slice(found.parts.length))).toMatchObject({ help: false })
  })

  test('[DOC-4] are found', () => {
    expect(lines.length).toBeGreaterThan(40)
    expect(corralCommands(`A=$(corral keys create --name "a b") && X=1 npx corral run 'x y' | tail # c`)).toEqual([
      ['keys', 'create', '--name', 'a b'],
      ['run', 'x y'],
    ])
  })
})
