// SPDX-License-Identifier: BSD-2-Clause
//
// syntax: does every TLA+ module parse?
//
//   node scripts/tla/syntax.mjs MODULES FOLDER...
//
// MODULES is where npm has put web-tree-sitter and tree-sitter-tlaplus (scripts/prepare: build/npm). Every
// .tla below the folders is parsed; before that the parser shows that it finds a planted error.
//
// Exit: 0 all parse; 1 some do not, one line each; 2 usage; 77 MODULES has no parser: skipped.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, ...folders] = process.argv.slice(2);
if (!modules || folders.length === 0) {
  console.error('syntax: usage: node scripts/tla/syntax.mjs MODULES FOLDER...');
  process.exit(2);
}

const grammar = path.join(modules, 'node_modules/tree-sitter-tlaplus/tree-sitter-tlaplus.wasm');
if (!fs.existsSync(grammar)) {
  console.log(`skipped: TLA+ syntax (needs ${grammar}; scripts/prepare installs it with npm)`);
  process.exit(77);
}
const Parser = createRequire(path.resolve(modules, 'package.json'))('web-tree-sitter');
await Parser.init();
const parser = new Parser();
parser.setLanguage(await Parser.Language.load(grammar));

/** The places that do not parse, as [line, column], from 1. */
function errors(text) {
  const found = [];
  const visit = (node) => {
    if (node.type === 'ERROR' || node.isMissing) {
      found.push([node.startPosition.row + 1, node.startPosition.column + 1]);
    } else if (node.hasError) {
      node.children.forEach(visit);
    }
  };
  const tree = parser.parse(text);
  visit(tree.rootNode);
  const hasModule = tree.rootNode.children.some((node) => node.type === 'module');
  return hasModule || found.length > 0 ? found : [[1, 1]];
}

const good = '---- MODULE M ----\nVARIABLE x\nInit == x = 0\n====\n';
for (const bad of [good.replace('= 0', '= '), good.replace('VARIABLE', 'VARIABLES ,'), 'no module\n']) {
  if (errors(good).length !== 0 || errors(bad).length === 0) {
    console.error('syntax: the parser does not see a planted error; install tree-sitter-tlaplus anew (build/npm)');
    process.exit(1);
  }
}

const files = folders
  .flatMap((folder) => fs.readdirSync(folder, { recursive: true }).map((file) => path.join(folder, file)))
  .filter((file) => file.endsWith('.tla'))
  .sort();
if (files.length === 0) {
  console.error(`syntax: there is no .tla below ${folders.join(', ')}`);
  process.exit(2);
}
let broken = 0;
for (const file of files) {
  for (const [line, column] of errors(fs.readFileSync(file, 'utf8'))) {
    console.error(`${file}:${line}:${column}: is no TLA+ from here on; SANY says more`);
    broken += 1;
  }
}
console.log(`${files.length} modules parsed, ${broken} errors`);
process.exit(broken === 0 ? 0 : 1);
