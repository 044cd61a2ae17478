// `node e2e/demo/screen/render.ts RECORDING PICTURE`: turns a recording of `npm run demo -- --record` into an animated
// SVG.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseCast } from './asciicast.ts';
import { asSvg } from './picture.ts';

const speed = 2;
const [, , recording, picture] = process.argv;
if (recording === undefined || picture === undefined) {
  process.stderr.write('expected the path of a recording, and the one of the picture\n');
  process.exit(2);
}
writeFileSync(picture, asSvg(parseCast(readFileSync(recording, 'utf8')), speed));
