import { expect, test } from 'bun:test'
import { routingPath } from './request-path.ts'

test('the path of a URL, whole or (as HTTP/1.0 without Host has it) without an authority', () => {
  for (const [url, path] of [
    ['http://h/readyz', '/readyz'],
    ['http://h:1/v1/models/a%2Fb?x=/y#/z', '/v1/models/a%2Fb'],
    ['http://h', '/'],
    ['http://h/', '/'],
    ['http://h/a//?b', '/a'],
    ['http://h//a/b', '/a/b'],
    ['http://h/a///b//c?d=//e', '/a/b/c'],
    ['http://h//', '/'],
    ['http://h/v1//models/hf://a/b', '/v1/models/hf:/a/b'],
    ['/readyz', '/readyz'],
    ['/v1/models?u=http://other/path', '/v1/models'],
    ['/', '/'],
    ['//a/b/', '/a/b'],
  ] as const) {
    expect([url, routingPath(url)]).toEqual([url, path])
  }
})
