<?php
// For programs without Composer: loads the classes of this client.
declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $prefix = 'Coolify\\Coold\\';
    if (str_starts_with($class, $prefix)) {
        $file = __DIR__ . '/src/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
