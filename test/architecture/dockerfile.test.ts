import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { readInstructions, readStages } from '../whole/dockerfile.ts'

const root = new URL('../../', import.meta.url).pathname
const path = `${root}Dockerfile`
const instructions = readInstructions(path)
const last = readStages(path).at(-1)?.instructions ?? []
const named = (name: string) => instructions.filter((one) => one.name === name).map(({ text }) => text)

describe('the Dockerfile', () => {
  test('pins its base to a release', () => {
    expect(named('ARG')).toEqual([expect.stringMatching(/^NODE=\d+\.\d+\.\d+-\w+-slim$/)])
    expect(named('FROM')).toEqual(['node:${NODE} AS build', 'node:${NODE}'])
  })

  test('[DOC-2] ends as a user that is not root', () => {
    expect(last.filter(({ name }) => name === 'USER').map(({ text }) => text)).toEqual(['1000:1000'])
    const user = last.findIndex(({ name }) => name === 'USER')
    expect(last.slice(user).filter(({ name }) => name === 'RUN' || name === 'COPY')).toEqual([])
  })

  test('adds nothing from a URL, and copies only what .dockerignore lets through', () => {
    expect(named('ADD')).toEqual([])
    const allowed = readFileSync(`${root}.dockerignore`, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const sources = named('COPY')
      .filter((text) => !text.startsWith('--from'))
      .flatMap((text) => text.split(/\s+/).slice(0, -1))
    expect(sources.map((source) => source.replace(/^\.\//, '')).toSorted()).toEqual(allowed.toSorted())
  })

  test('holds no secret, and installs from the lock file', () => {
    expect([...named('ENV'), ...named('ARG')].filter((text) => /KEY|TOKEN|SECRET|PASSWORD/.test(text))).toEqual([])
    expect(
      named('RUN')
        .filter((text) => text.includes('npm'))
        .join(),
    ).toMatch(/^npm ci --omit=dev --ignore-scripts /)
  })

  test('has a health check of its own, and starts without a shell', () => {
    expect(last.filter(({ name }) => name === 'HEALTHCHECK')).toEqual([
      { name: 'HEALTHCHECK', text: expect.stringMatching(/CMD \["node", "\/app\/bin\/corral\.js", "health"\]$/) },
    ])
    expect(JSON.parse(named('ENTRYPOINT')[0] ?? '')).toEqual(['node', '/app/bin/corral.js'])
    expect(JSON.parse(named('CMD')[0] ?? '')).toEqual(['run', 'starter'])
  })
})
