import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ConfigErrors, formatIssue } from '../../src/config/report.ts'
import { load } from './loading.ts'

const home = mkdtempSync(join(tmpdir(), 'corral-home-'))
afterAll(() => rmSync(home, { recursive: true }))

/** Writes a configuration below the home folder, named after its own path. */
function place(path: string): string {
  const full = join(home, path)
  mkdirSync(dirname(full), { recursive: true })
  writeFileSync(full, `version: 2\ndistro_name: "${path}"\nproviders: {}\n`)
  return full
}

async function found(source: string, env: Record<string, string> = {}, cwd = home): Promise<string> {
  return (await load('', { source, env, cwd, home })).config.distribution
}

async function said(source: string): Promise<string> {
  const error = await load('', { source, cwd: home, home }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConfigErrors)
  return formatIssue((error as ConfigErrors).issues[0]!)
}

describe('where a configuration is found', () => {
  test('a file: absolute, relative, below ~', async () => {
    const path = place('files/run.yaml')
    expect(await found(path)).toBe('files/run.yaml')
    expect(await found('files/run.yaml')).toBe('files/run.yaml')
    expect(await found('~/files/run.yaml', {}, '/')).toBe('files/run.yaml')
  })

  test('a file goes before a distribution of the same name', async () => {
    place('starter')
    expect(await found('starter')).toBe('starter')
    expect(await found('starter', {}, '/nowhere')).toBe('starter')
    rmSync(join(home, 'starter'))
    expect((await load('', { source: 'starter', cwd: home, home })).origin).toEqual({ kind: 'distribution', name: 'starter' })
  })

  const places = [
    ['mine', '.corral/distributions/mine/config.yaml'],
    ['seed', '.llama/distributions/seed/run.yaml'],
    ['older', '.llama/distributions/llamastack-older/older-run.yaml'],
    ['next', '.ogx/distributions/ogx-next/next-config.yaml'],
    ['plain', '.ogx/distributions/plain/config.yaml'],
    ['mine::other.yaml', '.corral/distributions/mine/other.yaml'],
  ] as const
  for (const [name, path] of places) {
    test(`${name} stands in ~/${path}`, async () => {
      place(path)
      expect(await found(name)).toBe(path)
    })
  }

  test('folders of another name', async () => {
    place('elsewhere/distributions/there/config.yaml')
    expect(await found('there', { CORRAL_CONFIG_DIR: '~/elsewhere' })).toBe('elsewhere/distributions/there/config.yaml')
    expect(await found('there', { OGX_CONFIG_DIR: join(home, 'elsewhere') })).toBe('elsewhere/distributions/there/config.yaml')
  })

  test('what is not there is said in one line', async () => {
    mkdirSync(join(home, 'folder'), { recursive: true })
    expect(await said('startr')).toBe(
      `startr: no file and no distribution has this name. Built in: starter; your own are in ${join(home, '.corral/distributions')}. Did you mean 'starter'?`,
    )
    expect(await said('nowhere/run.yaml')).toBe('nowhere/run.yaml: no such file')
    expect(await said('folder')).toBe('folder: this is a folder: name the file in it')
    expect(await said('../../etc::passwd')).toContain('no such file')
    expect(await said('/dev/zero')).toBe('/dev/zero: this is a device, not a file')
    expect(await said('./folder/')).toBe('./folder/: this is a folder: name the file in it')
    place('files/run.yaml')
    expect(await said('files/run.yaml/x.yaml')).toBe('files/run.yaml/x.yaml: no such file')
    expect(await said('x'.repeat(5_000))).toContain('no file and no distribution')
  })

  test('a file that is far too large is not read', async () => {
    writeFileSync(join(home, 'large.yaml'), '#'.repeat(10_000_001))
    expect(await said('large.yaml')).toBe('large.yaml: the file has 10000001 bytes, more than the 10000000 that a configuration may have')
  })

  test('errors name the file as it was given', async () => {
    writeFileSync(join(home, 'bad.yaml'), 'version: 2\nproviders: {}\nserver: { prot: 1 }')
    expect(await said('./bad.yaml')).toBe("./bad.yaml:3:11 server.prot: unknown key. Did you mean 'port'?")
  })
})
