// Runs module `top` (clk, rst_n) for the number of cycles of the first argument, ten of them in reset. What an
// assertion says is printed and does not end the run.
#include <cstdlib>
#include "Vtop.h"
#include "verilated.h"

int main(int argc, char** argv) {
    VerilatedContext context;
    context.errorLimit(1000000);
    Vtop top{&context};
    const long cycles = std::atol(argv[1]);
    for (long cycle = 0; cycle < cycles; cycle++) {
        top.rst_n = cycle >= 10;
        for (int level = 0; level < 2; level++) {
            top.clk = level;
            top.eval();
            context.timeInc(1);
        }
    }
    top.final();
}
