<?php
// What the test programs of this folder share: a check that fails is told, and ends the program with 1.
declare(strict_types=1);

require dirname(__DIR__) . '/autoload.php';

set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $level, $file, $line);
});

function same(mixed $expected, mixed $actual, string $what): void
{
    if ($expected !== $actual) {
        $show = static fn (mixed $value): string => json_encode($value, JSON_UNESCAPED_SLASHES | JSON_PARTIAL_OUTPUT_ON_ERROR);
        fwrite(STDERR, "$what: expected {$show($expected)}, got {$show($actual)}\n");
        exit(1);
    }
}

/**
 * @template E of Throwable
 * @param class-string<E> $class
 * @return E
 */
function thrown(string $class, callable $work, string $what): Throwable
{
    try {
        $work();
    } catch (Throwable $error) {
        same($class, $error::class, "$what: {$error->getMessage()}");
        return $error;
    }
    same($class, null, $what);
}
